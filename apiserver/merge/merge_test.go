// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/merge"
)

// What a pod answers may come when nobody waits for it any more.
func TestAnAnswerThatComesAfterTheWatchAndThePodHaveGone(t *testing.T) {
	r := merge.New[string](time.Now)
	r.Appear("a pod", false)
	now := time.Now().UnixMicro()
	hear := func() {
		now++
		if err := r.Hear("a pod", &dataplanev1alpha1.WatchResponse{PodId: "a process", Boot: now, Clock: now}); err != nil {
			t.Fatal(err)
		}
	}
	hear()
	for _, listed := range []bool{false, true} {
		w := r.Begin(func(string) bool { return true }, func() {})
		hear()
		joins := w.Joins()
		if len(joins) != 1 || !joins[0].List {
			t.Fatalf("%+v", joins)
		}
		r.End(w)
		r.Leave("a pod")
		if listed {
			joins[0].Listed("a process", nil, r.Now())
		} else if !joins[0].Replayed("a process", r.Now(), nil, r.Now()) {
			t.Error("it wants to know more")
		}
		if events := w.Release(10); len(events) > 0 {
			t.Errorf("it says %v", events)
		}
		r.Appear("a pod", false)
		hear()
	}
}

// follow begins a watch of a pod that has said everything.
func follow(t *testing.T, r *merge.Replica[string]) *merge.Watch[string] {
	t.Helper()
	r.Appear("a pod", false)
	w := r.Begin(func(string) bool { return true }, func() {})
	say(t, r)
	for _, j := range w.Joins() {
		j.Listed("a process", nil, r.Now())
	}
	if !w.Complete() || w.Err() != nil {
		t.Fatalf("not complete: %v", w.Err())
	}
	return w
}

// say lets the pod report now, with a change for each of the names.
func say(t *testing.T, r *merge.Replica[string], names ...string) {
	t.Helper()
	now := int64(r.List())
	said := &dataplanev1alpha1.WatchResponse{PodId: "a process", Boot: 1, Clock: now + int64(len(names))}
	for i, name := range names {
		said.Changes = append(said.Changes, &dataplanev1alpha1.Change{
			Kind: dataplanev1alpha1.Change_KIND_ADDED, Connection: &dataplanev1alpha1.Connection{Name: name, Version: now + 1 + int64(i)},
		})
	}
	if err := r.Hear("a pod", said); err != nil {
		t.Fatal(err)
	}
}

// What nobody reads is kept up to a bound, and then not at all; others go on.
func TestAWatchThatNobodyReads(t *testing.T) {
	r := merge.New[string](time.Now)
	slow, good := follow(t, r), follow(t, r)
	names := make([]string, merge.MaxPending/10)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	for n := range 11 {
		if slow.Err() != nil {
			t.Fatalf("after %d changes: %v", n*len(names), slow.Err())
		}
		say(t, r, names...)
		if got := len(good.Release(merge.MaxPending)); got != len(names) {
			t.Fatalf("the other one is told %d of %d", got, len(names))
		}
	}
	if !errors.Is(slow.Err(), merge.ErrSlow) || len(slow.Release(10)) > 0 {
		t.Errorf("after %d changes: %v", 11*len(names), slow.Err())
	}
}

// Who does not know any more which pods there are, gives out no versions.
func TestAViewOfThePodsThatIsTooOld(t *testing.T) {
	r := merge.New[string](time.Now)
	w := follow(t, r)
	r.Outdated()
	if !errors.Is(w.Err(), merge.ErrOutdated) || !errors.Is(w.Err(), merge.ErrExpired) {
		t.Errorf("the watch goes on: %v", w.Err())
	}
}
