// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The simulator drives a Conn as a driver does, with peers and kernels that are
// simulated, through a schedule that a seed determines. It checks what the relay
// promises after every step and at the end.
//
//	SIM_RUNS=100000 go test -run Simulation ./dataplane/relay/core
//	SIM_SEED=1234 go test -run Simulation ./dataplane/relay/core
const (
	simRuns  = 2000
	simSteps = 500
	simChunk = 256 // the driver's read buffer
)

func TestSimulation(t *testing.T) {
	first, runs := uint64(1), simRuns
	if s := os.Getenv("SIM_RUNS"); s != "" {
		runs, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("SIM_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		runs = 1
	}
	ends := map[Cause]int{}
	reconnects, lost, replayed := 0, uint64(0), 0
	for seed := first; seed < first+uint64(runs); seed++ {
		s := newSim(seed)
		s.run()
		if len(s.faults) > 0 {
			t.Fatalf("SIM_SEED=%d (%s): %s\nthe last steps:\n  %s", seed, s.kind(), strings.Join(s.faults, "\n"),
				strings.Join(s.events[max(0, len(s.events)-80):], "\n  "))
		}
		ends[s.conn.End().Cause]++
		reconnects += s.conn.Reconnects()
		lost += s.conn.PossiblyLost()
		replayed += s.replayed
	}
	t.Logf("%d schedules from seed %d: %d reconnects, %d messages possibly lost, %d replayed, ends %v", runs, first, reconnects, lost, replayed, ends)
	// A simulator that never gets anywhere would find nothing.
	if runs >= simRuns && (reconnects < runs/4 || lost == 0 || replayed == 0 || len(ends) < 8) {
		t.Errorf("the schedules reach too little")
	}
}

// sim is one schedule.
type sim struct {
	rng    *rand.Rand
	now    Instant
	conn   *Conn
	faults []string
	events []string

	// friendly says that nothing happens that a held client would not outlive.
	friendly    bool
	extensions  bool
	settings    Settings
	maxBuffer   int // the largest BufferBytes that were in force
	replayFixed bool
	maxGrace    time.Duration

	client    *simPeer
	upstreams []*simPeer // by generation
	attached  bool       // the last of them is the connection's
	pumps     [2]simPump
	dialing   bool
	resets    [2]bool
	gone      [2]bool
	armed     Instant
	closingAt Instant
	phase     Phase // the last one that the driver saw
	finishing bool
	replayed  int
}

// simPump is what a driver does with what comes from one side.
type simPump struct {
	writing bool
	to      *simPeer
	batch   [][]byte
	done    int
	buffer  []byte
	// reading is who is being read from, up to atMost bytes, while the connection
	// goes on.
	reading *simPeer
	atMost  int
}

func newSim(seed uint64) *sim {
	rng := rand.New(rand.NewPCG(seed, 0))
	s := &sim{rng: rng, now: 1, friendly: rng.IntN(3) == 0, extensions: rng.IntN(3) == 0, maxGrace: closeGrace}
	s.settings = s.randomSettings()
	if s.friendly {
		s.settings = Settings{AutoReconnect: true, ReconnectAttempts: 1000, ReconnectDelay: time.Second, BufferBytes: 2000, ReplayMessages: rng.IntN(3)}
		s.replayFixed = true
	}
	s.maxBuffer = s.settings.BufferBytes
	settings := s.settings
	s.conn = New(s.now, &settings, Terms{Extensions: s.extensions}, rng.Uint64)
	s.client = newSimPeer(Client, "client", rng, s.extensions, 700)
	s.attach()
	s.after("new")
	return s
}

func (s *sim) kind() string {
	if s.friendly {
		return "friendly"
	}
	return "hostile"
}

func (s *sim) randomSettings() Settings {
	pick := func(of ...int) int { return of[s.rng.IntN(len(of))] }
	return Settings{
		LostTimeout:       time.Duration(pick(0, 0, 10, 60)) * time.Second,
		AutoReconnect:     s.rng.IntN(6) > 0,
		ReconnectAttempts: pick(0, 2, 5, 5, 5, 100, 100),
		ReconnectDelay:    time.Duration(pick(0, 100, 2000)) * time.Millisecond,
		BufferBytes:       pick(0, 64, 300, 2000),
		ReplayMessages:    pick(0, 0, 1, 2),
		MaxMessageBytes:   int64(pick(0, 0, 650)),
		MessagesPerSecond: pick(0, 0, 0, 50),
		MaxAge:            time.Duration(pick(0, 0, 0, 200)) * time.Second,
	}
}

// attach makes a new generation of the upstream.
func (s *sim) attach() {
	name := fmt.Sprintf("upstream%d", len(s.upstreams))
	s.upstreams = append(s.upstreams, newSimPeer(Upstream, name, s.rng, s.extensions, 700))
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

func (s *sim) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

func (s *sim) event(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf("%8.3fs %-12s ", float64(s.now)/1e9, fmt.Sprint("phase ", s.conn.Phase()))+fmt.Sprintf(format, args...))
}

func (s *sim) run() {
	for range simSteps {
		s.step()
		s.check()
		if len(s.faults) > 0 {
			return
		}
	}
	s.finish()
}

// step does one thing, chosen at random.
func (s *sim) step() {
	side := Side(s.rng.IntN(2))
	peer := s.peer(side)
	n := s.rng.IntN(100)
	switch {
	case n < 40:
		s.pump(side)
	case n < 55:
		s.deliver(side)
	case peer == nil:
		s.dialed()
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
	case n >= 95 && !s.friendly && s.rng.IntN(10) == 0:
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
		up.vanished, up.mute = true, true
	default:
		s.event("%s leaves", up.name)
		up.leave()
	}
}

// disturb does what ends most connections.
func (s *sim) disturb(peer *simPeer) {
	switch s.rng.IntN(10) {
	case 0:
		s.event("%s violates", peer.name)
		peer.violate()
	case 1, 2:
		code := []int{1000, 1005, 3000, 4999}[s.rng.IntN(4)]
		s.event("%s closes with %d", peer.name, code)
		peer.sayClose(code, "enough")
	case 3:
		s.event("%s leaves", peer.name)
		peer.leave()
	case 4:
		grace := time.Duration(s.rng.IntN(20)) * time.Second
		s.maxGrace = max(s.maxGrace, grace)
		closing := s.conn.Phase() >= Closing
		ok := s.conn.Disconnect(s.now, End{By: ByAdmin, Cause: CauseDisconnected, Code: 1000, Reason: "go"}, grace)
		if ok == closing {
			s.fault("Disconnect returned %v, closing: %v", ok, closing)
		}
		s.after("disconnect")
	default:
		s.settings = s.randomSettings()
		s.replayFixed = false
		s.maxBuffer = max(s.maxBuffer, s.settings.BufferBytes)
		settings := s.settings
		s.conn.Apply(s.now, &settings)
		s.after(fmt.Sprintf("apply %+v", settings))
	}
}

// pump does a part of what the driver does for one side: it goes on writing, or
// takes what there is to write, or reads.
func (s *sim) pump(from Side) {
	p, to := &s.pumps[from], from.Other()
	switch {
	case p.writing:
		s.write(from)
		return
	case p.reading != nil:
		s.read(from)
		return
	}
	if s.conn.Phase() == Done {
		return
	}
	if batch := s.conn.Take(to); batch != nil {
		if s.peer(to) == nil {
			s.fault("bytes for the %s, which is not there", to)
		}
		*p = simPump{writing: true, to: s.peer(to), batch: slices.Clone(batch), buffer: p.buffer}
		s.conn.Pause(s.now, from)
		return
	}
	for i := range p.buffer {
		p.buffer[i] = 0xee // It may be used for something else from now on.
	}
	p.buffer = nil
	peer := s.peer(from)
	atMost := s.conn.Wants(from, simChunk)
	if atMost == 0 || peer == nil {
		s.conn.Pause(s.now, from)
		return
	}
	s.conn.Resume(s.now, from)
	if s.conn.TakesRearm() {
		s.rearm()
	}
	p.reading, p.atMost = peer, atMost
	if s.rng.IntN(2) == 0 {
		s.read(from)
	}
}

// read ends a read: with bytes, with the end of the socket, or because something
// is to be written.
func (s *sim) read(from Side) {
	p, peer := &s.pumps[from], s.pumps[from].reading
	p.reading = nil
	if peer != s.peer(from) {
		return // It was given up meanwhile.
	}
	if n := min(p.atMost, len(peer.toProxy)); n > 0 {
		n = 1 + s.rng.IntN(n)
		p.buffer = append([]byte(nil), peer.toProxy[:n]...)
		peer.toProxy = peer.toProxy[n:]
		s.conn.Receive(s.now, from, p.buffer)
		s.after(fmt.Sprintf("%d bytes from %s", n, peer.name))
		return
	}
	if peer.fin || peer.reset {
		how := EndOfStream
		if peer.reset {
			how = BrokenSocket
		}
		s.gone[from] = true
		s.conn.Lost(s.now, from, how)
		s.after(peer.name + " lost")
	}
}

// write gives bytes of a batch to the kernel, which takes what it has room for.
func (s *sim) write(from Side) {
	p := &s.pumps[from]
	total := 0
	for _, b := range p.batch {
		total += len(b)
	}
	failed := p.to.dead || p.to.reset && s.rng.IntN(2) == 0
	if p.done < total && !failed {
		room := max(0, min(400-len(p.to.fromProxy), total-p.done))
		if room > 0 {
			room = 1 + s.rng.IntN(room)
		}
		p.to.fromProxy = append(p.to.fromProxy, slices.Concat(p.batch...)[p.done:p.done+room]...)
		p.done += room
		if p.done < total && s.rng.IntN(3) == 0 {
			s.keep(from)
		}
		return
	}
	if p.done == total {
		failed = false
	}
	if failed || p.done == total {
		p.writing, p.batch = false, nil
		s.conn.Wrote(s.now, from.Other(), p.done, failed)
		s.after(fmt.Sprintf("wrote %d of %d bytes to %s, failed: %v", p.done, total, p.to.name, failed))
	}
}

// keep is what a driver does that does not wait for a socket: it uses its buffer
// for something else and goes on with what the core kept.
func (s *sim) keep(from Side) {
	p := &s.pumps[from]
	s.conn.Kept(from.Other(), p.done)
	for i := range p.buffer {
		p.buffer[i] = 0xdd
	}
	p.batch, p.done = slices.Clone(s.conn.Rest(from.Other())), 0
	s.event("kept what the %s did not take", from.Other())
}

// deliver makes a peer receive some of what the kernel has for it.
func (s *sim) deliver(to Side) {
	if peer := s.peer(to); peer != nil && !peer.vanished && !peer.reset && len(peer.fromProxy) > 0 {
		peer.take(1 + s.rng.IntN(len(peer.fromProxy)))
	} else if peer != nil && peer.vanished && !peer.reset && s.rng.IntN(4) == 0 {
		peer.reset = true
	}
}

// dialed answers an attempt to reach an upstream.
func (s *sim) dialed() {
	if !s.dialing || s.pumps[Client].writing {
		return
	}
	s.dialing = false
	if n := s.rng.IntN(20); n < 8 {
		s.conn.DialFailed(s.now, n == 0 && !s.friendly, "refused")
		s.after("dial failed")
		return
	}
	if s.conn.Attached(s.now) {
		s.attach()
	}
	s.after("attached")
}

// pass lets time pass, and ticks when the driver's timer fires.
func (s *sim) pass(d time.Duration) {
	until := s.now.Add(d)
	for s.armed != 0 && s.armed <= until {
		s.now = max(s.now, s.armed)
		s.armed = 0
		due := s.conn.Next()
		s.conn.Tick(s.now, func(Side) Peer { return Peer{} })
		s.after("tick")
		if next := s.conn.Next(); due != 0 && due <= s.now && next != 0 && next <= s.now {
			// Another thing may be due in the same moment, but not for ever.
			s.conn.Tick(s.now, func(Side) Peer { return Peer{} })
			s.after("tick")
			if next := s.conn.Next(); next != 0 && next <= s.now {
				s.fault("two ticks did not help: next is %v, now is %v", next, s.now)
				return
			}
		}
	}
	s.now = until
}

func (s *sim) rearm() {
	if next := s.conn.Next(); next != 0 && (s.armed == 0 || next < s.armed) {
		s.armed = next
	}
}

// after does what a driver does after every call.
func (s *sim) after(what string) {
	s.event("%s", what)
	if phase := s.conn.Phase(); phase != s.phase && !s.conn.HasEffects() {
		s.fault("after %s: another phase, %v, without an effect", what, phase)
	}
	s.phase = s.conn.Phase()
	e := s.conn.TakeEffects()
	if e.Detach {
		s.detach(e.Farewell)
	}
	if e.Dial {
		if s.dialing || s.conn.Phase() != Reconnecting {
			s.fault("a dial in phase %v, another under way: %v", s.conn.Phase(), s.dialing)
		}
		s.dialing = true
	}
	for side, reset := range e.Reset {
		if peer := s.peer(Side(side)); reset && peer != nil {
			s.resets[side] = true
			peer.dead = true
		}
	}
	if e.Rearm {
		s.rearm()
	}
	if next := s.conn.Next(); next != 0 && (s.armed == 0 || s.armed > next) {
		s.fault("after %s: next is %v, the timer fires at %v", what, next, s.armed)
	}
}

// detach gives up the socket of the upstream.
func (s *sim) detach(farewell []byte) {
	up := s.peer(Upstream)
	if up == nil {
		return
	}
	s.conn.Detached(len(up.fromProxy))
	s.event("%s is given up with %d bytes not acknowledged", up.name, len(up.fromProxy))
	if s.pumps[Client].writing && len(farewell) > 0 {
		s.fault("a farewell into a write")
	}
	up.fromProxy = append(up.fromProxy, farewell...)
	if !up.reset && !up.vanished {
		up.take(len(up.fromProxy)) // What the kernel has it delivers after close, too.
	}
	up.dead = true
	s.attached = false
}
