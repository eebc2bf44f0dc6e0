// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/types"
)

func TestEachContentIsPushedOnce(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki)
	p := newPod(t, pki, "a", echo)
	r.set(10, 1, p)
	r.until(p, acknowledged)
	for _, step := range []struct {
		version uint64
		retries int32
	}{{10, 1}, {11, 1}, {12, 1}} {
		r.set(step.version, step.retries, p)
		// That is so at once, unless the connection has just come up and the pod is
		// asked again. What it may not take is a push, and those are counted below.
		r.until(p, acknowledged)
	}
	r.set(13, 2, p)
	r.until(p, acknowledged)
	// Back to what it had before the last one: that is a change again.
	r.set(14, 1, p)
	r.until(p, acknowledged)
	if got := p.pushes(); !slices.Equal(got, []uint64{10, 13, 14}) {
		t.Errorf("pushed %v", got)
	}
	if got := r.Pods(echo)["a"]; got.Connections != 3 || got.Version != 14 {
		t.Errorf("known is %+v", got)
	}
}

func TestASecondPusherAsksAndDoesNotPush(t *testing.T) {
	pki := newPKI(t)
	p := newPod(t, pki, "a", echo)
	first := newRoom(t, pki)
	first.set(10, 1, p)
	first.until(p, acknowledged)
	first.Close()
	second := newRoom(t, pki)
	second.set(10, 1, p)
	second.until(p, acknowledged)
	if got := p.pushes(); !slices.Equal(got, []uint64{10}) {
		t.Errorf("pushed %v", got)
	}
}

// A second operator could otherwise bring what was wanted in between to a pod whose
// version is from before.
func TestWhatAPodHasIsPushedAgainWhereSomethingElseWasWantedInBetween(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki)
	p := newPod(t, pki, "a", echo)
	r.set(10, 1, p)
	r.until(p, acknowledged)
	p.mu.Lock()
	p.answer = func() error { return status.Error(codes.Internal, "not now") }
	p.mu.Unlock()
	r.set(11, 2, p)
	r.until(p, func(p Pod) bool { return p.Problem != nil && p.Problem.Message == "not now" })
	p.mu.Lock()
	p.answer = nil
	p.mu.Unlock()
	r.set(12, 1, p)
	r.until(p, func(p Pod) bool { return p.Acknowledged && p.Version == 12 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inForce.GetVersion() != 12 {
		t.Errorf("the pod would take version 11: it has %d", p.inForce.GetVersion())
	}
}

func TestAnotherRunIsPushedToAgain(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki)
	p := newPod(t, pki, "a", echo)
	r.set(10, 1, p)
	r.until(p, acknowledged)
	p.server.Stop()
	p.serve(echo)
	for deadline := time.Now().Add(patience); len(p.pushes()) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the second run has not been pushed to")
		}
	}
	r.until(p, acknowledged)
}

func TestARunThatKubernetesReportsIsAskedAgain(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki)
	p := newPod(t, pki, "a", echo)
	r.set(10, 1, p)
	r.until(p, acknowledged)
	p.mu.Lock()
	p.inForce, p.run = nil, 2
	p.mu.Unlock()
	target := p.target()
	target.Run = "second"
	if err := r.Set(echo, snapshot(10, 1), []Target{target}); err != nil {
		t.Fatal(err)
	}
	if r.Pods(echo)["a"].Acknowledged {
		t.Error("what the first run acknowledged is believed of the second")
	}
	r.until(p, acknowledged)
	if got := p.pushes(); !slices.Equal(got, []uint64{10, 10}) {
		t.Errorf("pushed %v", got)
	}
}

func TestAPollFindsAPodThatLostIt(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki, func(o *Options) { o.Poll = 20 * time.Millisecond })
	p := newPod(t, pki, "a", echo)
	r.set(10, 1, p)
	r.until(p, acknowledged)
	p.mu.Lock()
	p.inForce = nil
	p.mu.Unlock()
	for deadline := time.Now().Add(patience); len(p.pushes()) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody noticed")
		}
	}
}

func TestASlowPodDelaysNobody(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki, func(o *Options) { o.Timeout = patience })
	slow, fast := newPod(t, pki, "slow", echo), newPod(t, pki, "fast", echo)
	gate := make(chan struct{})
	slow.answer = func() error { <-gate; return nil }
	r.set(10, 1, slow, fast)
	r.until(fast, acknowledged)
	r.set(11, 2, slow, fast)
	r.until(fast, func(p Pod) bool { return p.Acknowledged && p.Version == 11 })
	if r.Pods(echo)["slow"].Acknowledged {
		t.Error("the slow pod has not answered")
	}
	close(gate)
	r.until(slow, func(p Pod) bool { return p.Acknowledged && p.Version == 11 })
}

func TestACallThatTakesTooLongIsReportedAndTriedAgain(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	p := newPod(t, pki, "a", echo)
	gate := make(chan struct{})
	p.answer = func() error { <-gate; return nil }
	r.set(10, 1, p)
	r.until(p, func(p Pod) bool { return p.Problem != nil && p.Problem.Code == codes.DeadlineExceeded })
	close(gate)
	r.until(p, acknowledged)
}

func TestARefusalIsReportedAndTriedAgain(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki)
	p := newPod(t, pki, "a", echo)
	refusals := 0
	p.answer = func() error {
		if refusals++; refusals <= 3 {
			return status.Error(codes.InvalidArgument, "listen.tls: no certificate")
		}
		return nil
	}
	r.set(10, 1, p)
	r.until(p, func(p Pod) bool { return p.Problem != nil })
	if got := r.Pods(echo)["a"].Problem; got != nil && got.Message != "listen.tls: no certificate" {
		t.Errorf("problem is %q", got.Message)
	}
	r.until(p, acknowledged)
	if got := r.Pods(echo)["a"].Problem; got != nil {
		t.Errorf("still a problem: %v", got)
	}
}

func TestANewerVersionIsReportedAndNotOverwritten(t *testing.T) {
	pki := newPKI(t)
	p := newPod(t, pki, "a", echo)
	newer := newRoom(t, pki)
	newer.set(20, 2, p)
	newer.until(p, acknowledged)
	older := newRoom(t, pki)
	older.set(10, 1, p)
	older.until(p, func(p Pod) bool { return p.Newer })
	older.set(21, 1, p)
	older.until(p, acknowledged)
	if got := p.pushes(); !slices.Equal(got, []uint64{20, 21}) {
		t.Errorf("pushed %v", got)
	}
}

func TestTheSameVersionWithAnotherContentIsReportedAndNotOverwritten(t *testing.T) {
	pki := newPKI(t)
	p := newPod(t, pki, "a", echo)
	before := newRoom(t, pki)
	before.set(10, 2, p)
	before.until(p, acknowledged)
	before.Close()
	restored := newRoom(t, pki)
	restored.set(10, 1, p)
	restored.until(p, func(p Pod) bool { return p.Newer })
	want, err := Digest(snapshot(10, 2))
	if err != nil {
		t.Fatal(err)
	}
	if got := restored.Pods(echo)["a"]; got.Version != 10 || got.Digest != want || got.Problem.Message != "version 10 is in force with another content" {
		t.Errorf("known is %+v: %v", got, got.Problem)
	}
	restored.set(11, 1, p)
	restored.until(p, acknowledged)
	if got := p.pushes(); !slices.Equal(got, []uint64{10, 11}) {
		t.Errorf("pushed %v", got)
	}
}

func TestAPodOfAVersionWithoutDigestsIsBelievedItsVersion(t *testing.T) {
	pki := newPKI(t)
	p := newPod(t, pki, "a", echo)
	p.old = true
	first := newRoom(t, pki)
	first.set(10, 1, p)
	first.until(p, acknowledged)
	first.Close()
	second := newRoom(t, pki)
	second.set(10, 1, p)
	second.until(p, acknowledged)
	if got := p.pushes(); !slices.Equal(got, []uint64{10}) {
		t.Errorf("pushed %v", got)
	}
}

func TestAPodWithAnotherProxysCertificateGetsNothing(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki)
	p := newPod(t, pki, "a", types.NamespacedName{Namespace: "default", Name: "other"})
	r.set(10, 1, p)
	r.until(p, func(p Pod) bool { return p.Problem != nil && p.Problem.Code == codes.Unavailable })
	if got := p.pushes(); got != nil {
		t.Errorf("pushed %v", got)
	}
}

func TestAPodThatIsNotListedAnyMoreIsForgotten(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki)
	a, b := newPod(t, pki, "a", echo), newPod(t, pki, "b", echo)
	r.set(10, 1, a, b)
	r.until(a, acknowledged)
	r.until(b, acknowledged)
	r.set(11, 2, b)
	r.until(b, func(p Pod) bool { return p.Version == 11 })
	if _, known := r.Pods(echo)["a"]; known {
		t.Error("a is still known")
	}
	r.Forget(echo)
	if got := r.Pods(echo); len(got) != 0 {
		t.Errorf("known after Forget: %v", got)
	}
	if got := a.pushes(); !slices.Equal(got, []uint64{10}) {
		t.Errorf("pushed %v", got)
	}
}
