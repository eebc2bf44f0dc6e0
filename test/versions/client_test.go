// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package versions

import (
	"errors"
	"fmt"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/merge"
)

// seen is what there is to know of a connection.
type seen struct {
	phase    dataplanev1alpha1.Phase
	upstream string
}

// client is an informer.
type client struct {
	*world
	view    map[string]seen
	version clock.Stamp
	known   bool      // There is something to resume from.
	away    time.Time // Not back before.

	at    *replica
	watch *merge.Watch[*pod]
	// syncing says that the state is still on its way, and is not to be resumed from;
	// promised is what there was when that began.
	syncing  bool
	promised map[string]seen
	wrong    string
}

func everything(*pod) bool { return true }

func (c *client) cut() {
	if c.watch != nil {
		c.at.merge.End(c.watch)
	}
	c.at, c.watch = nil, nil
	if c.syncing {
		c.known, c.syncing = false, false
	}
}

func (c *client) step(quiet bool) {
	r := c.replicas[c.random.IntN(2)]
	switch {
	case time.Now().Before(c.away) && !quiet:
	case c.watch != nil && c.random.IntN(c.cuts) == 0 && !quiet:
		c.cut()
		if c.random.IntN(3) == 0 {
			c.away = time.Now().Add(c.between(40 * time.Second))
		}
	case c.watch != nil:
		c.read()
	case !c.known && c.random.IntN(3) == 0:
		c.begin(r)
	case !c.known:
		c.list(r)
	default:
		c.resume(r)
	}
}

func (c *client) list(r *replica) {
	complete, promised := r.sync(), c.truth()
	version := r.merge.List()
	c.view = map[string]seen{}
	for _, p := range c.pods {
		if !r.known[p] {
			continue
		}
		if c.random.IntN(2) == 0 && p.alive {
			c.traffic()
		}
		if !p.alive {
			complete = false
			continue
		}
		_, all, err := list(p, version)
		if err != nil {
			panic(err)
		}
		for _, d := range all {
			c.view[d.GetName()] = seen{d.GetPhase(), d.GetUpstream()}
		}
	}
	c.told["list"]++
	if complete {
		c.lacks(promised)
		r.merge.Listed(version)
	} else {
		c.told["partial list"]++
		version = merge.Unresumable
	}
	c.version, c.known = version, true
}

func (c *client) begin(r *replica) {
	if !r.sync() {
		return // It comes again.
	}
	c.view, c.syncing, c.promised = map[string]seen{}, true, c.truth()
	c.at, c.watch = r, r.merge.Begin(everything, func() {})
	c.version = 0
}

func (c *client) resume(r *replica) {
	if !r.sync() {
		return // It comes again.
	}
	wait, err := r.merge.Wait(c.version)
	if err == nil && wait > 0 {
		return // It comes again.
	}
	var w *merge.Watch[*pod]
	if err == nil {
		w, err = r.merge.Resume(c.version, everything, func() {})
	}
	if err != nil {
		c.told["refused"]++
		c.known = false
		return
	}
	c.told["resumed"]++
	c.at, c.watch = r, w
}

// read takes some of what there is, and is cut off in the middle now and then.
func (c *client) read() {
	if err := c.watch.Err(); err != nil {
		if !errors.Is(err, merge.ErrExpired) {
			c.wrong = err.Error()
		}
		c.told["ended: "+err.Error()]++
		c.cut()
		c.known = false
		return
	}
	if !c.watch.Complete() && len(c.view) == 0 && c.random.IntN(4) > 0 {
		return // Nothing is read before it has begun.
	}
	atMost := 1 + c.random.IntN(100)
	events := c.watch.Release(atMost)
	for _, e := range events {
		if e.Version < c.version {
			c.wrong = fmt.Sprintf("version %d came after %d", e.Version, c.version)
		}
		d := e.Change.GetConnection()
		if c.view[d.GetName()] = (seen{d.GetPhase(), d.GetUpstream()}); e.Change.GetKind() == dataplanev1alpha1.Change_KIND_DELETED {
			delete(c.view, d.GetName())
		}
		c.version = e.Version
		c.told["event"]++
		if c.random.IntN(16*c.cuts) == 0 {
			c.told["cut in the middle"]++
			c.cut()
			return
		}
	}
	if c.syncing && !c.watch.Initial() {
		// The end bookmark.
		c.told["begun"]++
		c.known, c.syncing = true, false
		c.lacks(c.promised)
	}
	if !c.syncing && c.random.IntN(2) == 0 {
		c.version = c.watch.Version() // A bookmark.
	}
	if !c.syncing && len(events) < atMost && c.watch.Complete() {
		c.check()
	}
}

// lacks finds what was there when the client asked what there is, still is, and is not
// in the answer.
func (c *client) lacks(promised map[string]seen) {
	now := c.truth()
	for name := range promised {
		if _, is := now[name]; !is {
			continue
		}
		if _, seen := c.view[name]; !seen {
			c.wrong = "the state lacks " + name
		}
	}
}

// check compares what the client sees with what it has to see at its version: all that
// has happened up to there in the processes that its replica follows, and nothing of
// those that the replica knows to have ended.
func (c *client) check() {
	for name := range c.view {
		of := c.origins[name]
		s := c.at.streams[of.pod]
		followed := s != nil && s.process == of.process
		// That a process has taken the place of one that was never heard of here, only the
		// kubelet tells.
		ended := !c.at.known[of.pod] || s != nil && s.process != of.process && c.at.restarts[of.pod] == of.pod.restarts
		switch {
		case of.closed > 0 && of.closed <= c.version && (followed || ended), of.closed == 0 && of.dead() && ended:
			c.wrong = fmt.Sprintf("stale %s at %d, closed at %d", name, c.version, of.closed)
		}
	}
	for _, p := range c.pods {
		if s := c.at.streams[p]; s == nil || s.process != p.registry || !c.at.known[p] {
			continue
		}
		for name, is := range p.live {
			stamp := clock.Stamp(is.entry.Describe().GetVersion())
			if got, ok := c.view[name]; stamp <= c.version && (!ok || got != seen{is.phase, is.upstream}) {
				c.wrong = fmt.Sprintf("missing or wrong %s at %d, of %d: %v", name, c.version, stamp, got)
			}
		}
	}
}
