// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"errors"
	"fmt"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

const (
	// Silence is how long a pod that is followed may say nothing: twenty reports.
	Silence = 5 * time.Second
	// youth is how long before a version a pod may have started so that it is replayed
	// from its start: others may not have known it, as their view of the pods is less
	// than half of that old.
	youth = time.Minute
	// maxDepartures are remembered. When there are more, no version below the oldest of
	// them can be resumed from, whatever it is about.
	maxDepartures = 1000
	// maxIssued versions are remembered.
	maxIssued = 10_000
)

// Unresumable is a version from which no watch can be resumed: that of a list that
// is not complete.
const Unresumable clock.Stamp = 1

// Errors that end a watch, or keep it from beginning.
var (
	// ErrExpired: what is needed is not known here any more, or not for certain. Who
	// lists knows everything.
	ErrExpired = errors.New("too old resource version")
	// ErrSilent, ErrGone, ErrForgotten, ErrRelisted and ErrOutdated are ErrExpired, too: a
	// pod says nothing any more; a pod, or the process in it, has ended and has not said what
	// became of its connections; it has forgotten what is needed; all pods had to be listed
	// again; it is not known any more which pods there are.
	ErrSilent    = fmt.Errorf("%w: a pod has said nothing for %v", ErrExpired, Silence)
	ErrGone      = fmt.Errorf("%w: a pod is gone", ErrExpired)
	ErrForgotten = fmt.Errorf("%w: a pod has forgotten what has happened", ErrExpired)
	ErrRelisted  = fmt.Errorf("%w: the pods had to be listed again", ErrExpired)
	ErrOutdated  = fmt.Errorf("%w: it is not known any more which pods there are", ErrExpired)
	// ErrSlow: nobody reads what happens.
	ErrSlow = errors.New("events are read too slowly")
	// ErrAhead: a pod says that it is later than it can be.
	ErrAhead = errors.New("the clock is too far ahead")
	// errReplaced: another process runs in a pod.
	errReplaced = fmt.Errorf("%w: its process was replaced", ErrGone)
	// errEnded: nobody watches any more.
	errEnded = errors.New("the watch was ended")
)

const (
	margin = clock.Stamp(clock.MaxAhead / time.Microsecond)
	silent = clock.Stamp(Silence / time.Microsecond)
	young  = clock.Stamp(youth / time.Microsecond)
)

// Replica is what one process knows of the versions of connections. P is what it
// calls a pod.
type Replica[P comparable] struct {
	clock *clock.Clock
	wall  func() time.Time
	// began is when it learned of all pods at once; what left before is not known.
	began clock.Stamp
	// left are pods, and processes in them, that have ended, in the order in which that
	// became known.
	left []departure[P]
	runs map[P]*run
	// issued are the versions of complete lists that were made here while anything that
	// had just ended kept those of others from being resumed from.
	issued  map[clock.Stamp]struct{}
	watches map[*Watch[P]]struct{}
}

// departure of a pod or of a process in it: who has a version below, and has it from
// somebody else, may believe in connections that ended with it.
type departure[P comparable] struct {
	pod P
	at  clock.Stamp
}

// run is what is known of a pod, and of the process that is followed in it.
type run struct {
	// id is empty before the process said anything.
	id   string
	boot clock.Stamp
	// reached is how far the process was followed.
	reached clock.Stamp
	// heard is when it said something last, on the clock of this replica.
	heard clock.Stamp
	// followed says that there is a stream that goes on from reached.
	followed bool
	// ended says that it has drained.
	ended bool
	// replaced is when it was found to have taken the place of another one; 0: it was
	// not, or the kubelet has told of that as well.
	replaced clock.Stamp
}

// New returns a replica that knows no pod. wall is wall time that never goes back.
func New[P comparable](wall func() time.Time) *Replica[P] {
	r := &Replica[P]{
		clock: clock.New(wall), wall: wall, runs: map[P]*run{},
		issued: map[clock.Stamp]struct{}{}, watches: map[*Watch[P]]struct{}{},
	}
	r.began = r.clock.Now()
	return r
}

// Now reads the replica's clock, which is sent to pods: it is at or above every
// version that was given out here.
func (r *Replica[P]) Now() clock.Stamp { return r.clock.Now() }

// List returns the version of a list that is about to be made: pods that are sent it
// move their clocks past it before they answer.
func (r *Replica[P]) List() clock.Stamp { return r.clock.Tick() }

// Listed says that the list of that version is complete: that every pod answered it,
// with a clock that Check takes. Where something has just ended, such a version can be
// resumed from here and nowhere else.
func (r *Replica[P]) Listed(version clock.Stamp) {
	learned := r.began
	if n := len(r.left); n > 0 {
		learned = r.left[n-1].at
	}
	switch {
	case version > learned+margin+young:
		clear(r.issued)
	case version <= learned+margin && len(r.issued) < maxIssued:
		r.issued[version] = struct{}{}
	}
}

// Check refuses the clock of a pod that cannot be, with ErrAhead. It is compared with
// wall time, not with the replica's clock: that follows those of the pods, and a pod
// could drive it on for ever.
func (r *Replica[P]) Check(s clock.Stamp) error {
	if now := clock.Stamp(r.wall().UnixMicro()); s > now+margin {
		return fmt.Errorf("%w: by %v", ErrAhead, time.Duration(s-now)*time.Microsecond)
	}
	return nil
}

// Appear says that there is a pod. restarted says that its process is not the first
// in it.
func (r *Replica[P]) Appear(p P, restarted bool) {
	if _, known := r.runs[p]; known {
		return
	}
	r.runs[p] = &run{}
	if restarted {
		r.depart(p)
	}
}

// Leave says that a pod is gone, and its connections with it.
func (r *Replica[P]) Leave(p P) {
	if _, known := r.runs[p]; !known {
		return
	}
	delete(r.runs, p)
	r.depart(p)
	r.failWithout(p, ErrGone)
}

// Restarted says that the kubelet tells of another process in a pod. That is news
// where the one before was never heard of here.
func (r *Replica[P]) Restarted(p P) {
	run, known := r.runs[p]
	if !known {
		return
	}
	if noticed := run.replaced; noticed != 0 && r.clock.Now() <= noticed+young {
		run.replaced = 0
		return
	}
	r.depart(p)
	r.failWithout(p, errReplaced)
}

// Relisted says that the pods had to be listed again: those that came and went in
// between are not known.
func (r *Replica[P]) Relisted() {
	r.began, r.left = r.clock.Now(), nil
	clear(r.issued)
	for w := range r.watches {
		w.fail(ErrRelisted)
	}
}

// Outdated says that the view of the pods is so old that the next version may be more
// than youth above the start of a pod that is not in it: others would take it for known.
// Who watches has to go where the pods are known.
func (r *Replica[P]) Outdated() {
	for w := range r.watches {
		w.fail(ErrOutdated)
	}
}

func (r *Replica[P]) depart(p P) {
	r.left = append(r.left, departure[P]{p, r.clock.Now()})
	if len(r.left) > maxDepartures {
		r.began = max(r.began, r.left[0].at)
		r.left = r.left[1:]
	}
}

// failWithout ends the watches that a pod is missing from; those that have seen it
// drain go on without it.
func (r *Replica[P]) failWithout(p P, why error) {
	for w := range r.watches {
		if !w.scope(p) {
			continue
		}
		if m := w.members[p]; m == nil || m.state != done {
			w.fail(why)
		}
		delete(w.members, p)
	}
}

// From is what the stream of a pod has to begin with: the stamp of a change, or 0 for
// what is to come.
func (r *Replica[P]) From(p P) clock.Stamp {
	if run := r.runs[p]; run != nil && run.followed {
		return run.reached + 1
	}
	return 0
}

// Unfollow says that there is no stream of a pod any more, because nobody watches it.
func (r *Replica[P]) Unfollow(p P) {
	if run := r.runs[p]; run != nil {
		run.followed = false
	}
}

// Hear takes what a pod says on the stream that all watches share. That stream must
// have begun with what From says and with the clock of the replica. The error is
// ErrAhead; then nothing has happened.
func (r *Replica[P]) Hear(p P, said *dataplanev1alpha1.WatchResponse) error {
	run := r.runs[p]
	if run == nil {
		return nil
	}
	reached := clock.Stamp(said.GetClock())
	if err := r.follow(reached); err != nil {
		return err
	}
	if run.id != said.GetPodId() {
		r.replace(p, run, said)
	}
	run.reached, run.heard = max(run.reached, reached), r.clock.Now()
	if !run.followed {
		run.followed, run.reached = true, reached
		for w := range r.watches {
			w.meet(p, run.id)
		}
	}
	for w := range r.watches {
		w.hear(p, said.GetChanges(), reached)
	}
	if said.GetEnded() {
		run.ended = true
		for w := range r.watches {
			w.end(p)
		}
	}
	return nil
}

// follow moves the clock past that of a pod.
func (r *Replica[P]) follow(s clock.Stamp) error {
	if err := r.Check(s); err != nil {
		return err
	}
	_, err := r.clock.MovePast(s)
	return err
}

// replace begins with another process.
func (r *Replica[P]) replace(p P, known *run, said *dataplanev1alpha1.WatchResponse) {
	noticed := clock.Stamp(0)
	if known.id != "" {
		noticed = r.clock.Now()
		r.depart(p)
		r.failWithout(p, errReplaced)
	}
	*known = run{id: said.GetPodId(), boot: clock.Stamp(said.GetBoot()), replaced: noticed}
}

// Behind says that a pod does not have what From asks for any more.
func (r *Replica[P]) Behind(p P) {
	r.Unfollow(p)
	for w := range r.watches {
		if m := w.members[p]; m != nil && m.state != done {
			w.fail(ErrForgotten)
		}
	}
}

// Tick ends the watches of pods that say nothing.
func (r *Replica[P]) Tick() {
	now := r.clock.Now()
	for p, run := range r.runs {
		if !run.followed || run.ended || now-run.heard <= silent {
			continue
		}
		for w := range r.watches {
			if m := w.members[p]; m != nil && m.state != done {
				w.fail(ErrSilent)
			}
		}
	}
}
