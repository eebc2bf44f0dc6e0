// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// late is the way to the API server of a leader that is stopped when it is about to
// write a status, goes on later, and ends before it writes anything else.
type late struct {
	inner http.RoundTripper
	armed atomic.Bool
	over  atomic.Bool
	// caught is closed when the status is held back, release lets it go, and answer
	// is the API server's.
	caught, release chan struct{}
	answer          chan int
}

// RoundTrip implements http.RoundTripper.
func (l *late) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodGet {
		return l.inner.RoundTrip(request)
	}
	ended := errors.New("stopped")
	if l.over.Load() {
		return nil, ended
	}
	if !strings.Contains(request.URL.Path, "/websocketproxies/") || !strings.HasSuffix(request.URL.Path, "/status") || !l.armed.Load() {
		return l.inner.RoundTrip(request)
	}
	if l.over.Swap(true) {
		return nil, ended
	}
	close(l.caught)
	select {
	case <-l.release:
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	response, err := l.inner.RoundTrip(request)
	if err == nil {
		l.answer <- response.StatusCode
	}
	return response, err
}

func TestAStatusThatALeaderWroteTooLateIsPutRight(t *testing.T) {
	r := newRoom(t)
	stopped := &late{caught: make(chan struct{}), release: make(chan struct{}), answer: make(chan int, 1)}
	startOperatorAs(t, through(func(inner http.RoundTripper) http.RoundTripper {
		stopped.inner = inner
		return stopped
	}), r.namespace)
	pod := r.serving("echo", 1)[0]
	r.quiet()
	before := get[wsproxyv1alpha1.WebSocketProxy](r, "echo")

	// A pod is down for a moment, and the leader is stopped when it is about to say
	// so.
	stopped.armed.Store(true)
	r.patchStatus(get[appsv1.Deployment](r, "echo-wsproxy"), `{"status":{"readyReplicas":0,"availableReplicas":0}}`)
	<-stopped.caught
	r.roll("echo")

	// The next one finds everything as it is said to be.
	asked := 0
	pod.set(func() { asked = pod.statuses })
	startOperator(t, r.namespace)
	r.eventually(func() error {
		pod.mu.Lock()
		defer pod.mu.Unlock()
		if pod.statuses == asked {
			return errors.New("it has not asked the pod")
		}
		return nil
	})
	r.quiet()
	if now := get[wsproxyv1alpha1.WebSocketProxy](r, "echo"); now.ResourceVersion != before.ResourceVersion {
		t.Fatalf("the next leader wrote a status that differs in nothing: %+v", now.Status)
	}

	// The first one goes on, and nothing but its status tells of it.
	close(stopped.release)
	if code := <-stopped.answer; code != http.StatusOK {
		t.Fatalf("the late status was answered with %d", code)
	}
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
}

// quiet waits until no operator has looked at a proxy for half a second. A test that
// goes on a little too early sees what it waits for sooner, and fails no less.
func (r *room) quiet() {
	r.Helper()
	last, since := reconciled(r, "websocketproxy"), time.Now()
	r.eventually(func() error {
		if n := reconciled(r, "websocketproxy"); n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) < 500*time.Millisecond {
			return fmt.Errorf("still being looked at, %v times by now", last)
		}
		return nil
	})
}
