// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestListsShareMemory(t *testing.T) {
	turnedBack := 0
	m := NewMemory(1000, func() { turnedBack++ })
	errLarge := errors.New("too large")
	// begin is a request of somebody that takes so often 100, and what its last is told.
	begin := func(user string, times int) (done func(), err error) {
		ctx, done := m.For(t.Context(), user)
		take := taker(ctx, 90, 2, errLarge)
		for range times {
			err = take(5)
		}
		return done, err
	}
	first, err := begin("alice", 5)
	if err != nil {
		t.Error("half of it is not enough:", err)
	}
	if _, err := begin("alice", 1); !apierrors.IsTooManyRequests(err) {
		t.Error("somebody takes more than half:", err)
	}
	large, err := begin("bob", 6)
	if !errors.Is(err, errLarge) {
		t.Error("what is larger than half is not told so:", err)
	}
	_, err = begin("carol", 3)
	if !apierrors.IsTooManyRequests(err) {
		t.Error("there is more than all of it:", err)
	}
	if seconds, ok := apierrors.SuggestsClientDelay(err); !ok || seconds < 1 {
		t.Error("nobody says when to ask again:", err)
	}
	large()
	second, err := begin("alice", 1)
	if !apierrors.IsTooManyRequests(err) {
		t.Error("what others give back is alice's:", err)
	}
	first()
	third, err := begin("alice", 5)
	if err != nil {
		t.Error("what was given back cannot be had again:", err)
	}
	second()
	third()
	if m.used != 0 || len(m.of) != 0 || turnedBack != 3 {
		t.Errorf("%d are left, of %v; %d were turned back", m.used, m.of, turnedBack)
	}

	// Who has begun to watch holds nothing any more, however long it lasts.
	ctx, done := m.For(t.Context(), "alice")
	take := taker(ctx, 100, 1, errLarge)
	if err := take(100); err != nil {
		t.Error(err)
	}
	settle(ctx)
	for range 100 {
		if err := take(100); err != nil {
			t.Fatal(err)
		}
	}
	done()
	if m.used != 0 || len(m.of) != 0 {
		t.Errorf("%d are left, of %v", m.used, m.of)
	}
}
