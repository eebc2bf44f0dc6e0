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
	for deadline := time.Now().Add(10 * time.Second); f.Fresh() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(f.Fresh())
		}
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
