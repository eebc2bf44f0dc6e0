// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"fmt"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Join is what a watch has to know of a pod before it can go on with what the pod says
// to all.
type Join[P comparable] struct {
	Pod P
	// List says that the pod has to be listed, with Clock. Else the changes are needed
	// from the stamp From on, up to now, and the pod is sent Clock.
	List  bool
	From  clock.Stamp
	Clock clock.Stamp

	watch *Watch[P]
	m     *member
}

// Joins returns what is to be asked of pods now. Each must be answered once, with
// Replayed, Listed or Failed.
func (w *Watch[P]) Joins() (joins []Join[P]) {
	for p, m := range w.members {
		if m.state == heard {
			m.state = joining
			joins = append(joins, w.join(p, m))
		}
	}
	return joins
}

func (w *Watch[P]) join(p P, m *member) Join[P] {
	j := Join[P]{Pod: p, List: w.initial, From: w.from, Clock: w.replica.clock.Now(), watch: w, m: m}
	// Others may not have known a young pod when they gave out the version, or have
	// known it only in part: everything that it has ever done is replayed.
	if boot := w.replica.runs[p].boot; boot > w.from-young {
		j.From = min(j.From, boot)
	}
	return j
}

// over says that the answer is of no use any more.
func (j *Join[P]) over() bool {
	w := j.watch
	return w.err != nil || w.members[j.Pod] != j.m || j.m.state != joining
}

// Replayed takes the changes of a process from From on, of which there are all up to
// reached. before is where its clock was before it was asked. It returns false where
// the pod has to be listed instead.
func (j *Join[P]) Replayed(process string, before clock.Stamp, changes []*dataplanev1alpha1.Change, reached clock.Stamp) bool {
	if j.over() {
		return true
	}
	if before < j.watch.from {
		// It was no part of what is known to the one who watches: no clock that is at
		// that version has ever been sent to it.
		j.List, j.Clock = true, j.watch.replica.clock.Now()
		return false
	}
	j.merge(process, changes, reached)
	return true
}

// Listed takes the connections of a process, when its clock was at began or later.
func (j *Join[P]) Listed(process string, connections []*dataplanev1alpha1.Connection, began clock.Stamp) {
	if j.over() {
		return
	}
	j.m.shown = map[string]clock.Stamp{}
	for _, c := range connections {
		if shown := clock.Stamp(c.GetVersion()); shown > began {
			j.m.shown[c.GetName()] = shown
		}
		added := &dataplanev1alpha1.Change{Kind: dataplanev1alpha1.Change_KIND_ADDED, Connection: c}
		j.watch.pending = append(j.watch.pending, pending[P]{pod: j.Pod, change: added, initial: j.watch.initial})
	}
	j.watch.pending.init()
	j.watch.most += len(connections)
	j.merge(process, nil, began)
}

// merge goes on with what the pod says to all.
func (j *Join[P]) merge(process string, changes []*dataplanev1alpha1.Change, reached clock.Stamp) {
	w, m := j.watch, j.m
	if process != m.run {
		w.fail(errReplaced)
		return
	}
	if err := w.replica.follow(reached); err != nil {
		w.fail(fmt.Errorf("%w: %w", ErrExpired, err))
		return
	}
	w.take(j.Pod, m, changes, reached)
	live := m.live
	w.waiting -= len(live)
	m.live, m.state = nil, merged
	if w.err == nil {
		w.take(j.Pod, m, live, w.replica.runs[j.Pod].reached)
		w.woken()
	}
}

// Failed says that the pod did not answer, or has forgotten what was asked for.
func (j *Join[P]) Failed(why error) {
	if !j.over() {
		j.watch.fail(fmt.Errorf("%w: %w", ErrExpired, why))
	}
}
