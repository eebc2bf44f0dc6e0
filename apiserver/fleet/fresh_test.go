// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"testing"
	"time"
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

func (f *Fleet) since() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.confirmed
}
