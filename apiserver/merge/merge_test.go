// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
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
