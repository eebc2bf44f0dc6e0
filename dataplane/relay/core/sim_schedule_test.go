// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// sim is one schedule.
type sim struct {
	seed   uint64
	rng    *rand.Rand
	now    Instant
	conn   *Conn
	broken []invariant
	faults []string
	traced bool
	events []string

	// friendly says that nothing happens that a held client would not outlive.
	friendly bool
	// calm says that nothing but silence and changes of the settings ends it.
	calm       bool
	extensions bool
	settings   Settings
	movable    bool
	// budget is what others have, too: theirs is how much of it.
	budget *Budget
	theirs int64
	// What was in force all the time, for what is judged over a whole life.
	maxBuffer int // the largest BufferBytes that were in force
	fixed     bool
	maxGrace  time.Duration

	client    *simPeer
	upstreams []*simPeer // by generation
	attached  bool       // the last of them is the connection's
	pumps     [2]simPump
	dialing   bool
	resets    [2]bool
	gone      [2]bool
	armed     Instant
	finishing bool
	model     simModel
	kept      simKept
	sending   bool // messages are sent to the client
	sends     []*simSend
	fates     [simInDoubt + 1]int

	replayed, silentLosses int
}

// simChatty is how much of what a peer could say it says, in percent.
var simChatty = []int{100, 100, 30, 3}

// simMaxReplay is the largest ReplayMessages.
const simMaxReplay = 8

func newSim(seed uint64, traced bool) *sim {
	rng := rand.New(rand.NewPCG(seed, 0))
	s := &sim{seed: seed, traced: traced, rng: rng, now: 1, friendly: rng.IntN(3) == 0, calm: rng.IntN(4) == 0, extensions: rng.IntN(3) == 0, movable: true, maxGrace: closeGrace, fixed: true}
	s.budget = NewBudget([]int64{0, 200, 1000, 1 << 20, 1 << 20}[rng.IntN(5)])
	s.settings = s.randomSettings()
	if s.friendly {
		s.budget = NewBudget(1 << 20)
		s.settings = Settings{Budget: s.budget, Random: rng.Uint64, AutoReconnect: true, ReconnectAttempts: 1000, ReconnectDelay: time.Second, BufferBytes: 2000, ReplayMessages: rng.IntN(3)}
	}
	s.maxBuffer = s.settings.BufferBytes
	terms := Terms{Extensions: s.extensions}
	if !s.friendly && rng.IntN(8) == 0 {
		s.movable, terms.NotReconnectable = false, "CompressionContext"
	}
	s.sending = rng.IntN(3) == 0
	settings := s.settings
	s.conn = New(s.now, &settings, terms)
	s.client = s.newPeer(Client, "client")
	s.attach()
	s.after("new: %s", described(settings))
	return s
}

func (s *sim) newPeer(side Side, name string) *simPeer {
	p := newSimPeer(side, name, s.rng, s.extensions, s.fault)
	if !s.friendly {
		p.chatty = simChatty[s.rng.IntN(len(simChatty))]
	}
	return p
}

func (s *sim) kind() string {
	switch {
	case s.friendly:
		return "friendly"
	case s.calm:
		return "calm"
	}
	return "hostile"
}

func (s *sim) randomSettings() Settings {
	pick := func(of ...int) int { return of[s.rng.IntN(len(of))] }
	return Settings{
		Budget:            s.budget,
		Random:            s.rng.Uint64,
		LostTimeout:       time.Duration(pick(0, 0, 10, 60)) * time.Second,
		AutoReconnect:     s.rng.IntN(6) > 0,
		ReconnectAttempts: pick(0, 2, 5, 5, 5, 100, 100),
		ReconnectDelay:    time.Duration(pick(0, 100, 2000)) * time.Millisecond,
		BufferBytes:       pick(0, 64, 300, 2000),
		ReplayMessages:    pick(0, 0, 1, 2, simMaxReplay),
		MaxMessageBytes:   int64(pick(0, 0, 0, 0, 100, 650)),
		MessagesPerSecond: pick(0, 0, 0, 0, 2, 3),
		MaxAge:            time.Duration(pick(0, 0, 0, 100)) * time.Second,
	}
}

// described are settings without what has another address in every run.
func described(settings Settings) string {
	settings.Budget, settings.Random = nil, nil
	return fmt.Sprintf("%+v", settings)
}

// attach makes a new generation of the upstream.
func (s *sim) attach() {
	name := fmt.Sprintf("upstream%d", len(s.upstreams))
	s.upstreams = append(s.upstreams, s.newPeer(Upstream, name))
	s.attached = true
}

// peer returns who is at the other end of a side's socket; nil where there is none.
func (s *sim) peer(side Side) *simPeer {
	if side == Client {
		return s.client
	}
	if !s.attached {
		return nil
	}
	return s.upstreams[len(s.upstreams)-1]
}

func (s *sim) fault(broken invariant, format string, args ...any) {
	s.broken = append(s.broken, broken)
	s.faults = append(s.faults, string(broken)+": "+fmt.Sprintf(format, args...))
}

func (s *sim) event(format string, args ...any) {
	if s.traced {
		s.events = append(s.events, fmt.Sprintf("%8.3fs %-12s ", float64(s.now)/1e9, fmt.Sprint("phase ", s.conn.Phase()))+fmt.Sprintf(format, args...))
	}
}

func (s *sim) run() {
	defer func() {
		if r := recover(); r != nil {
			s.fault(NoPanic, "%v\n%s", r, debug.Stack())
		}
	}()
	s.checkSpread()
	for range simSteps {
		s.step()
		s.check()
		if len(s.faults) > 0 {
			return
		}
	}
	if s.settings.LostTimeout > 0 && s.rng.IntN(2) == 0 {
		s.lull()
	}
	s.finish()
}

// lull lets a side ping and then nobody say anything, until both are pinged.
func (s *sim) lull() {
	peer := s.peer(Side(s.rng.IntN(2)))
	if peer == nil {
		return
	}
	peer.sayPing()
	for range 60 {
		for _, side := range []Side{Client, Upstream} {
			s.pump(side)
			s.deliver(side)
		}
		s.pass(s.settings.LostTimeout / 100)
		s.check()
	}
}

// step does one thing, chosen at random.
func (s *sim) step() {
	side := Side(s.rng.IntN(2))
	peer := s.peer(side)
	if s.sending && s.rng.IntN(20) == 0 {
		s.send()
	} else if s.sending && s.rng.IntN(60) == 0 {
		s.withdraw()
	}
	n := s.rng.IntN(100)
	switch {
	case n < 40:
		s.pump(side)
	case n < 55:
		s.deliver(side)
	case peer == nil:
		s.dialed()
	case n < 80 && s.rng.IntN(100) >= peer.chatty:
	case n < 68:
		peer.say()
	case n < 72:
		peer.sayPing()
	case n < 73:
		peer.sayPong()
	case n < 80:
		peer.answer()
	case n < 88:
		s.pass(time.Duration(s.rng.IntN(1000)) * time.Millisecond)
	case n < 89:
		s.pass(time.Duration(s.rng.IntN(30)) * time.Second)
	case n < 92:
		s.dialed()
	case n < 95 && s.rng.IntN(2) == 0:
		s.losing()
	case n == 95 && !s.friendly:
		s.others()
	case n > 95 && !s.friendly && s.rng.IntN(10) == 0:
		s.disturb(peer)
	}
}

// losing ends the upstream, in one of the ways that a reconnect heals.
func (s *sim) losing() {
	up := s.peer(Upstream)
	if up == nil || up.mute || s.finishing {
		return
	}
	if s.friendly {
		// Within a message nothing heals.
		for up.kept != "" {
			up.say()
		}
		for range 50 {
			s.deliver(Client)
			s.pump(Upstream)
		}
		if len(up.toProxy) > 0 || s.peer(Upstream) != up {
			return
		}
	}
	switch s.rng.IntN(4) {
	case 0:
		code := []int{1001, 1011, 1012, 1013, 1014}[s.rng.IntN(5)]
		s.event("%s closes with %d", up.name, code)
		up.sayClose(code, "see you")
		if s.rng.IntN(2) == 0 {
			up.toProxy = append(up.toProxy, "bytes after a close frame"...)
		}
	case 1:
		s.event("%s vanishes", up.name)
		up.vanish(s.now)
	default:
		s.event("%s leaves", up.name)
		up.leave()
	}
}

// disturb does what ends most connections.
func (s *sim) disturb(peer *simPeer) {
	if s.calm {
		if s.rng.IntN(4) == 0 {
			s.change()
		}
		return
	}
	switch s.rng.IntN(16) {
	case 0, 1, 2, 3:
		s.event("%s violates", peer.name)
		peer.violate()
	case 4, 5:
		code := []int{1000, 1005, 3000, 4999}[s.rng.IntN(4)]
		reason := ""
		if code != 1005 {
			reason = []string{"", "enough", "genug für heute"}[s.rng.IntN(3)]
		}
		s.event("%s closes with %d", peer.name, code)
		peer.sayClose(code, reason)
	case 6:
		s.event("%s leaves", peer.name)
		peer.leave()
	case 7:
		s.event("%s vanishes", peer.name)
		peer.vanish(s.now)
	case 8:
		s.disconnect(End{By: ByAdmin, Cause: CauseDisconnected, Code: 4001, Reason: "go"})
	case 9:
		s.disconnect(End{By: ByProxy, Cause: CauseDrained, Code: 1012, Reason: "the proxy is going away"})
	case 10:
		if s.rng.IntN(3) == 0 {
			s.abort()
		}
	default:
		s.change()
	}
}

// disconnect is the command of an administrator, or of a drain.
func (s *sim) disconnect(end End) {
	grace := time.Duration(s.rng.IntN(20)) * time.Second
	s.maxGrace = max(s.maxGrace, grace)
	closing := s.conn.Phase() >= Closing
	s.model.command = end
	ok := s.conn.Disconnect(s.now, end, grace)
	if ok == closing {
		s.fault(Commands, "Disconnect returned %v, closing: %v", ok, closing)
	}
	s.after("disconnect: %+v", end)
	if !closing && (s.conn.Phase() < Closing || s.conn.End().Cause != end.Cause) {
		s.fault(Commands, "the disconnect was not obeyed: phase %d, %+v", s.conn.Phase(), s.conn.End())
	}
}

// abort is the end of the process.
func (s *sim) abort() {
	before := s.conn.Phase()
	s.model.aborted = s.model.aborted || before < Closing
	s.model.cutShort = s.model.cutShort || before < Done
	s.conn.Abort(s.now)
	s.after("abort")
	if s.conn.Phase() != Done {
		s.fault(Commands, "phase %d after an abort", s.conn.Phase())
	}
}

// others are the connections that have the budget, too: they take of it or give
// back.
func (s *sim) others() {
	theirs := s.rng.Int64N(s.budget.Limit() + 1)
	s.budget.charge(int(theirs - s.theirs))
	s.theirs = theirs
	s.event("others have %d of %d bytes", theirs, s.budget.Limit())
	s.kept = simKept{}
}

// change puts other settings in force.
func (s *sim) change() {
	before := s.settings
	s.settings = s.randomSettings()
	s.fixed = false
	s.maxBuffer = max(s.maxBuffer, s.settings.BufferBytes)
	settings := s.settings
	s.model.settingsChange(before, settings, s.now)
	s.conn.Apply(s.now, &settings)
	s.after("apply %s", described(settings))
	s.checkChange()
}
