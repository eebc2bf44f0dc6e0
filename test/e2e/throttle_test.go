// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// What a user may change at once, and per second from then on, in each of the
	// replicas of the aggregated API server.
	changesAtOnce, changesPerSecond, replicas = 100, 50, 2
	// impatience is how many disconnects a user sends at a time.
	impatience = 50
	// tooManyChanges is what the server says.
	tooManyChanges = "too many changes by this user, others are not affected"
)

func TestAThousandDisconnectsByOneUserAreThrottledAndAnotherUserIsNotAffected(t *testing.T) {
	r := newRoom(t, "e2e-throttle", 1)
	clients := r.connect(r.proxy("echo", nil), thousand+20, 0.2)
	names := held(t, clients)
	hers, his := names[:thousand], names[thousand:]
	alice, bob := r.account("alice", operatorRole), r.account("bob", operatorRole)
	ended := endings{}

	flood := &flood{account: alice, namespace: r.namespace, throttled: make(chan struct{})}
	start := time.Now()
	var flooding sync.WaitGroup
	flooding.Go(func() { flood.send(t.Context(), hers) })
	select {
	case <-flood.throttled:
	case <-time.After(time.Minute):
		t.Fatal("nobody was told to wait within a minute")
	}
	// At the same time somebody else is served as always.
	var served []time.Time
	for _, name := range his {
		got, err := bob.patiently(t.Context(), http.MethodPost, connectionPath(r.namespace, name, "disconnect"), `{"code":4002,"reason":"by bob"}`)
		if err != nil {
			t.Fatal(err)
		}
		got.connection(t, http.StatusCreated)
		served = append(served, time.Now())
		ended.add(end{4002, "by bob"}, name)
	}
	flooding.Wait()
	took := flood.last.Sub(start)
	t.Logf("%d disconnects in %v: %d accepted, %d refused; the other user's %d took %v, %d refusals followed the first",
		len(hers), took.Round(time.Millisecond), len(flood.accepted), len(flood.refusals), len(his), served[len(served)-1].Sub(served[0]).Round(time.Millisecond), flood.refusedAfter(served[0]))

	for _, err := range flood.errors {
		t.Error(err)
	}
	most := replicas*changesAtOnce + int(replicas*changesPerSecond*took.Seconds())
	if n := len(flood.accepted); n < changesAtOnce || n > most {
		t.Errorf("%d were accepted, want at least %d and at most %d", n, changesAtOnce, most)
	}
	if flood.refusedAfter(served[0]) == 0 {
		t.Error("nothing was refused any more when the other user was served, so this shows nothing")
	}
	ours, longest := 0, 0
	for _, refusal := range flood.refusals {
		after, err := strconv.Atoi(refusal.header.Get("Retry-After"))
		if err != nil || after < 1 || after > 60 {
			t.Fatalf("Retry-After is %q: %s", refusal.header.Get("Retry-After"), refusal.body)
		}
		longest = max(longest, after)
		// The kube-apiserver turns away a flood as well, before it comes to us.
		if refusal.status.Message == tooManyChanges {
			ours++
			refusal.refuses(t, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, tooManyChanges)
			if int(refusal.status.Details.RetryAfterSeconds) != after {
				t.Errorf("Retry-After is %d: %s", after, refusal.body)
			}
		}
	}
	if ours == 0 {
		t.Error("the aggregated API server has refused nothing")
	}
	ended.add(end{4003, "by alice"}, flood.accepted...)
	r.ends(clients, ended)

	t.Run("and is served again after Retry-After", func(t *testing.T) {
		r := r.in(t)
		rest := held(t, clients)
		time.Sleep(time.Duration(longest) * time.Second)
		alice.must(t, http.MethodDelete, connectionPath(r.namespace, rest[0]), "").connection(t, http.StatusOK)
		ended.add(byAdministrator, rest[0])
		r.ends(clients, ended)
	})
}

// patiently asks again where a pod did not answer, as kubectl does: on a machine
// that is busy with a flood, it may be late. Who is told to wait is not patient.
func (a *account) patiently(ctx context.Context, method, path, body string) (got reply, err error) {
	for range 10 {
		if got, err = a.ask(ctx, method, path, body); err != nil || got.code != http.StatusServiceUnavailable {
			break
		}
	}
	return got, err
}

// flood is a user who disconnects many connections, as fast as can be, and does
// not wait when told to.
type flood struct {
	*account
	namespace string
	// throttled is closed at the first refusal.
	throttled chan struct{}

	mu sync.Mutex
	// The fields below are guarded by mu until send returns.
	accepted  []string
	refusals  []reply
	refusedAt []time.Time
	errors    []error
	last      time.Time
}

func (f *flood) send(ctx context.Context, names []string) {
	next := make(chan string)
	var sending sync.WaitGroup
	for range impatience {
		sending.Go(func() {
			for name := range next {
				got, err := f.patiently(ctx, http.MethodPost, connectionPath(f.namespace, name, "disconnect"), `{"code":4003,"reason":"by alice"}`)
				f.note(name, got, err)
			}
		})
	}
	for _, name := range names {
		next <- name
	}
	close(next)
	sending.Wait()
}

func (f *flood) note(name string, got reply, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = time.Now()
	switch {
	case err != nil:
		f.errors = append(f.errors, err)
	case got.code == http.StatusCreated:
		f.accepted = append(f.accepted, name)
	case got.code == http.StatusTooManyRequests:
		if len(f.refusals) == 0 {
			close(f.throttled)
		}
		f.refusals, f.refusedAt = append(f.refusals, got), append(f.refusedAt, f.last)
	default:
		f.errors = append(f.errors, fmt.Errorf("disconnect of %s: %d: %s", name, got.code, got.body))
	}
}

// refusedAfter counts the refusals after a time.
func (f *flood) refusedAfter(then time.Time) (n int) {
	for _, at := range f.refusedAt {
		if at.After(then) {
			n++
		}
	}
	return n
}
