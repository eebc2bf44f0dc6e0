// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/apiserver/merge"
)

func TestWhatIsKnownOfThePodsGrowsOld(t *testing.T) {
	f, end := running(t)
	defer end()
	if err := f.Fresh(); err != nil {
		t.Errorf("as soon as the pods are listed: %v", err)
	}
	// stayFresh begins to count a moment later.
	for f.since().IsZero() {
		time.Sleep(time.Millisecond)
	}
	f.mu.Lock()
	f.confirmed = time.Now().Add(-staleAfter)
	f.mu.Unlock()
	if f.Fresh() == nil {
		t.Error("it does not")
	}
	// A look at some of the pods says nothing of the others.
	if err := f.Confirm(t.Context(), "shop"); err != nil || f.Fresh() == nil {
		t.Errorf("after a look at one namespace: %v, %v", err, f.Fresh())
	}
	if err := f.Confirm(t.Context(), ""); err != nil || f.Fresh() != nil {
		t.Errorf("after a look at all: %v, %v", err, f.Fresh())
	}
}

// Versions of who does not know the pods would hide the young ones from those who are
// told them.
func TestWatchesEndWhenWhatIsKnownOfThePodsIsOld(t *testing.T) {
	f, end := running(t)
	defer end()
	w, err := f.Watch(t.Context(), Query{Pods: func(*Pod) bool { return false }}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for f.since().IsZero() {
		time.Sleep(time.Millisecond)
	}
	silent, cancel := context.WithCancel(t.Context())
	cancel()
	f.refresh(silent)
	if _, _, _, err := w.Next(t.Context(), 1); err != nil {
		t.Errorf("after one failure: %v", err)
	}
	f.mu.Lock()
	f.confirmed = time.Now().Add(-staleAfter)
	f.mu.Unlock()
	f.refresh(silent)
	if _, _, _, err := w.Next(t.Context(), 1); !errors.Is(err, merge.ErrExpired) {
		t.Errorf("when nothing was confirmed for %v: %v", staleAfter, err)
	}
}

func (f *Fleet) since() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.confirmed
}
