// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"container/heap"
	"fmt"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// MaxPending is how many changes a watch keeps that nobody has read yet.
const MaxPending = 100_000

// Event is what those who watch are told.
type Event[P comparable] struct {
	Pod    P
	Change *dataplanev1alpha1.Change
	// Initial says that it is part of what there was when the watch began. Such events
	// come first, in no order.
	Initial bool
	// Version is the resourceVersion that the event has: within one watch they never
	// fall.
	Version clock.Stamp
}

// Watch is one who follows the pods in a scope.
type Watch[P comparable] struct {
	replica *Replica[P]
	scope   func(P) bool
	// from is the version whose state is known to the one who watches.
	from clock.Stamp
	// initial says that this state is none, and that what there is was not all
	// released yet.
	initial bool
	// version: everything at or below it was released.
	version clock.Stamp
	members map[P]*member
	pending queue[P]
	// waiting counts the changes in members that wait for a join, and most is how many
	// may wait and be pending: MaxPending, beside what lists have shown.
	waiting, most int
	err           error
	// woken is called whenever there may be something to release, or to join.
	woken func()
}

// member is a pod of a watch.
type member struct {
	state state
	// reach: everything at or below it is released or pending.
	reach clock.Stamp
	// live are changes that came while what came before them is asked for.
	live []*dataplanev1alpha1.Change
	// shown are connections that a list showed in a later state than that of reach, by
	// their names.
	shown map[string]clock.Stamp
	// run is the process that is joined.
	run string
}

type state int

const (
	// unheard: the pod has not said anything yet.
	unheard state = iota
	// heard: what came before may be asked for.
	heard
	// joining: it is asked for.
	joining
	// merged: what the pod says is all there is.
	merged
	// done: the pod has drained.
	done
)

// Wait returns how long it takes until the replica's clock is where a version is from
// which a watch is to be resumed, or a list is not to be older than: clocks of other
// replicas may be ahead. The error is ErrExpired where it is too long.
func (r *Replica[P]) Wait(version clock.Stamp) (time.Duration, error) {
	ahead := version - r.clock.Now()
	if ahead > margin {
		return 0, fmt.Errorf("%w: it is from the future", ErrExpired)
	}
	return time.Duration(max(ahead, 0)) * time.Microsecond, nil
}

// Resume begins a watch that goes on from a version, which Wait must have been waited
// for. woken must not call back. The error is ErrExpired.
func (r *Replica[P]) Resume(version clock.Stamp, scope func(P) bool, woken func()) (*Watch[P], error) {
	if version > r.clock.Now() {
		return nil, fmt.Errorf("%w: it is from the future", ErrExpired)
	}
	if r.refuses(version, r.began) {
		return nil, fmt.Errorf("%w: this replica does not know what was then", ErrExpired)
	}
	for _, d := range r.left {
		if r.refuses(version, d.at) && scope(d.pod) {
			return nil, fmt.Errorf("%w: a pod has ended since", ErrExpired)
		}
	}
	return r.watch(version, false, scope, woken), nil
}

// refuses says whether a version may be of somebody who did not know at it what this
// replica learned at a stamp. Clocks of others may be ahead by the margin.
func (r *Replica[P]) refuses(version, learned clock.Stamp) bool {
	if _, mine := r.issued[version]; mine {
		return version <= learned
	}
	return version <= learned+margin
}

// Begin begins a watch that tells what there is before it tells what changes.
func (r *Replica[P]) Begin(scope func(P) bool, woken func()) *Watch[P] {
	return r.watch(r.List(), true, scope, woken)
}

func (r *Replica[P]) watch(version clock.Stamp, initial bool, scope func(P) bool, woken func()) *Watch[P] {
	w := &Watch[P]{
		replica: r, scope: scope, from: version, initial: initial, version: version, members: map[P]*member{}, most: MaxPending, woken: woken,
	}
	for p, run := range r.runs {
		if scope(p) {
			m := &member{reach: version}
			if run.followed {
				m.state, m.run = heard, run.id
			}
			w.members[p] = m
		}
	}
	r.watches[w] = struct{}{}
	return w
}

// End takes a watch away. Nothing happens to it any more: answers to its joins that are
// still on their way find it over.
func (r *Replica[P]) End(w *Watch[P]) {
	delete(r.watches, w)
	w.fail(errEnded)
}

// Watched says whether anybody watches a pod.
func (r *Replica[P]) Watched(p P) bool {
	for w := range r.watches {
		if w.scope(p) {
			return true
		}
	}
	return false
}

// Err is why the watch has ended: ErrExpired or ErrSlow; nil while it has not.
func (w *Watch[P]) Err() error { return w.err }

// Version is the highest that was given out, or may be: everything at or below it was
// released.
func (w *Watch[P]) Version() clock.Stamp { return w.version }

// Initial says that some of what there was when the watch began was not released yet:
// there is nothing to resume from.
func (w *Watch[P]) Initial() bool { return w.initial }

// Complete says whether the changes of every pod that was known at the beginning are
// there, and of those that have been heard since.
func (w *Watch[P]) Complete() bool {
	for _, m := range w.members {
		if m.state != merged && m.state != done {
			return false
		}
	}
	return true
}

// Missing are the pods whose changes are not there yet.
func (w *Watch[P]) Missing() (pods []P) {
	for p, m := range w.members {
		if m.state != merged && m.state != done {
			pods = append(pods, p)
		}
	}
	return pods
}

// Unheard are the pods that have not said anything yet.
func (w *Watch[P]) Unheard() (pods []P) {
	for p, m := range w.members {
		if m.state == unheard {
			pods = append(pods, p)
		}
	}
	return pods
}

// Behind are the pods that something waits for, and that have not been asked for a
// report: nothing but their clocks keeps it.
func (w *Watch[P]) Behind() (pods []P) {
	if len(w.pending) == 0 {
		return nil
	}
	for p, m := range w.members {
		if m.state == merged && m.reach < w.pending[0].stamp {
			pods = append(pods, p)
		}
	}
	return pods
}

func (w *Watch[P]) fail(err error) {
	if w.err == nil {
		w.err = err
		w.pending, w.members = nil, nil
		w.woken()
	}
}

// meet notes that a pod can be joined. One that was not there when the watch began is
// held where the watch is: what it says next must not be below.
func (w *Watch[P]) meet(p P, process string) {
	if w.err != nil || !w.scope(p) {
		return
	}
	m := w.members[p]
	if m == nil {
		m = &member{reach: w.version}
		w.members[p] = m
	}
	m.state, m.run = heard, process
	w.woken()
}

// hear takes the live changes of a pod up to a stamp.
func (w *Watch[P]) hear(p P, changes []*dataplanev1alpha1.Change, reached clock.Stamp) {
	m := w.members[p]
	if w.err != nil || m == nil {
		return
	}
	switch m.state {
	case heard, joining:
		m.live = append(m.live, changes...)
		w.waiting += len(changes)
		w.bound()
	case merged:
		w.take(p, m, changes, reached)
		w.woken()
	case unheard, done:
	}
}

// take makes changes of a pod pending that are not yet.
func (w *Watch[P]) take(p P, m *member, changes []*dataplanev1alpha1.Change, reached clock.Stamp) {
	for _, c := range changes {
		stamp := clock.Stamp(c.GetConnection().GetVersion())
		if m.state == merged && stamp <= m.reach {
			continue // It was known before.
		}
		w.push(p, m, c, stamp)
	}
	m.reach = max(m.reach, reached)
	w.bound()
}

func (w *Watch[P]) push(p P, m *member, c *dataplanev1alpha1.Change, stamp clock.Stamp) {
	if shown, ok := m.shown[c.GetConnection().GetName()]; ok && stamp <= shown {
		return
	}
	heap.Push(&w.pending, pending[P]{stamp: stamp, pod: p, change: c})
}

func (w *Watch[P]) bound() {
	if len(w.pending)+w.waiting > w.most {
		w.fail(ErrSlow)
	}
}

// end notes that a pod has drained, if all that it did before is known.
func (w *Watch[P]) end(p P) {
	m := w.members[p]
	switch {
	case w.err != nil || m == nil:
	case m.state == merged:
		m.state = done
		w.woken()
	case m.state == done:
	default:
		w.fail(ErrGone)
	}
}

// Release returns at most so many events that nothing can come before any more, in
// the order of their versions.
func (w *Watch[P]) Release(atMost int) []Event[P] {
	if w.err != nil {
		return nil
	}
	mark := w.mark()
	var released []Event[P]
	for len(w.pending) > 0 && w.pending[0].stamp <= mark && len(released) < atMost {
		next := heap.Pop(&w.pending).(pending[P])
		w.version = max(w.version, next.stamp)
		released = append(released, Event[P]{next.pod, next.change, next.initial, w.version})
	}
	if len(w.pending) == 0 || w.pending[0].stamp > mark {
		w.version = max(w.version, mark)
	}
	if w.initial && w.Complete() && (len(w.pending) == 0 || w.pending[0].stamp > 0) {
		w.initial = false
	}
	return released
}

// mark is the stamp below which every pod has said everything.
func (w *Watch[P]) mark() clock.Stamp {
	mark, known := clock.Stamp(0), false
	for _, m := range w.members {
		if m.state != done && (!known || m.reach < mark) {
			mark, known = m.reach, true
		}
	}
	if !known {
		return w.replica.clock.Now()
	}
	return mark
}

// pending is a change that is not released yet.
type pending[P comparable] struct {
	// stamp is 0 for what a list has shown.
	stamp   clock.Stamp
	pod     P
	change  *dataplanev1alpha1.Change
	initial bool
}

// queue has the lowest stamp first.
type queue[P comparable] []pending[P]

func (q *queue[P]) init()             { heap.Init(q) }
func (q queue[P]) Len() int           { return len(q) }
func (q queue[P]) Less(i, j int) bool { return q[i].stamp < q[j].stamp }
func (q queue[P]) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *queue[P]) Push(x any) { *q = append(*q, x.(pending[P])) }

// Pop implements heap.Interface.
func (q *queue[P]) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	(*q)[last] = pending[P]{}
	*q = (*q)[:last]
	return x
}
