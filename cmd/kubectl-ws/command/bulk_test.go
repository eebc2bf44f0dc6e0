// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

var connections = connectionsv1alpha1.Resource(connectionsv1alpha1.ResourceConnections)

// trial is a bulk over n connections whose names are numbers.
type trial struct {
	*bulk
	out, errOut bytes.Buffer
	targets     []target

	mu sync.Mutex
	// asked, guarded by mu, is how often each was asked for.
	asked map[string]int
}

func newTrial(n int, answer func(try int, name string) error) *trial {
	tr := &trial{asked: map[string]int{}}
	for i := range n {
		tr.targets = append(tr.targets, target{"shop", fmt.Sprint(i)})
	}
	streams := genericiooptions.IOStreams{Out: &tr.out, ErrOut: &tr.errOut}
	tr.bulk = &bulk{
		selected: true,
		report:   newReport(streams, &printers.NamePrinter{Operation: "disconnected"}, n),
		end: func(_ context.Context, t target) (*unstructured.Unstructured, error) {
			tr.mu.Lock()
			tr.asked[t.name]++
			try := tr.asked[t.name]
			tr.mu.Unlock()
			if err := answer(try, t.name); err != nil {
				return nil, err
			}
			object := &unstructured.Unstructured{}
			object.SetGroupVersionKind(connectionsv1alpha1.GroupVersion.WithKind("WebSocketConnection"))
			object.SetName(t.name)
			return object, nil
		},
	}
	return tr
}

func (tr *trial) summed(t *testing.T, want string) {
	t.Helper()
	if got := tr.report.summary("disconnected"); got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	if got := strings.Count(tr.out.String(), " disconnected\n"); got != tr.report.ended {
		t.Errorf("%d lines for %d connections", got, tr.report.ended)
	}
}

func later(code int32, reason metav1.StatusReason) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: string(reason), Details: &metav1.StatusDetails{RetryAfterSeconds: 1},
	}}
}

func TestManyAreEndedAsFastAsTheServerLetsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, refused := rate.NewLimiter(50, 100), 0
		var mu sync.Mutex
		tr := newTrial(1000, func(int, string) error {
			time.Sleep(5 * time.Millisecond)
			if bucket.Allow() {
				return nil
			}
			mu.Lock()
			refused++
			mu.Unlock()
			return later(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)
		})
		begin := time.Now()
		tr.run(t.Context(), tr.targets)
		tr.summed(t, "1000 of 1000 connections disconnected")
		// 100 at once, and then 50 a second.
		if took := time.Since(begin); took < 17*time.Second || took > 22*time.Second {
			t.Errorf("took %v", took)
		}
		// In each second, each of those who ask is told to wait once.
		if refused > 22*workers {
			t.Errorf("the server had to refuse %d times", refused)
		}
	})
}

func TestWhatEndsByItselfIsNoFailure(t *testing.T) {
	tr := newTrial(100, func(_ int, name string) error {
		switch {
		case strings.HasSuffix(name, "3"):
			return apierrors.NewNotFound(connections, name)
		case strings.HasSuffix(name, "7"):
			return apierrors.NewConflict(connections, name, errors.New("it is closing already"))
		}
		return nil
	})
	tr.run(t.Context(), tr.targets)
	tr.summed(t, "80 of 100 connections disconnected, 10 were closing already, 10 had ended by themselves")
	if tr.errOut.Len() > 0 {
		t.Errorf("%s", tr.errOut.String())
	}
}

func TestWhatWasNamedAndIsNotThereIsAFailureAndTheOthersAreEnded(t *testing.T) {
	tr := newTrial(20, func(_ int, name string) error {
		if name == "3" {
			return apierrors.NewNotFound(connections, name)
		}
		return nil
	})
	tr.selected = false
	tr.run(t.Context(), tr.targets)
	tr.summed(t, "19 of 20 connections disconnected, 1 failed")
	if want := "Error from server (NotFound): websocketconnections.connections.wsproxy.io \"3\" not found\n"; tr.errOut.String() != want {
		t.Errorf("%q, want %q", tr.errOut.String(), want)
	}
}

func TestAPodThatDoesNotAnswerIsAskedTenTimesAndDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, last := time.Now(), time.Duration(0)
		var mu sync.Mutex
		tr := newTrial(100, func(_ int, name string) error {
			if name == "3" {
				return later(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
			}
			mu.Lock()
			defer mu.Unlock()
			last = max(last, time.Since(begin))
			return nil
		})
		tr.run(t.Context(), tr.targets)
		tr.summed(t, "99 of 100 connections disconnected, 1 failed")
		if tr.asked["3"] != maxTries || last > 0 {
			t.Errorf("asked %d times; the last of the others ended after %v", tr.asked["3"], last)
		}
	})
}

func TestWhatConcernsAllEndsItAtOnce(t *testing.T) {
	for name, err := range map[string]error{
		"no right":      apierrors.NewForbidden(connections, "", errors.New("who are you?")),
		"no login":      apierrors.NewUnauthorized("who are you?"),
		"no server":     errors.New("connection refused"),
		"no close code": apierrors.NewInvalid(connectionsv1alpha1.GroupVersion.WithKind("WebSocketDisconnect").GroupKind(), "", nil),
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrial(1000, func(int, string) error { return err })
			tr.run(t.Context(), tr.targets)
			if failed := tr.report.failed; failed == 0 || failed > workers || tr.report.left() != 1000-failed {
				t.Errorf("%s", tr.report.summary("disconnected"))
			}
		})
	}
}

func TestAnInterruptSaysWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		var ended []string
		var mu sync.Mutex
		tr := newTrial(1000, func(_ int, name string) error {
			mu.Lock()
			defer mu.Unlock()
			if len(ended) == 100 {
				// They wait when the interrupt comes.
				time.AfterFunc(time.Second/2, interrupt)
				return later(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)
			}
			ended = append(ended, name)
			return nil
		})
		tr.run(ctx, tr.targets)
		tr.summed(t, "100 of 1000 connections disconnected, 900 left as they were, or nobody knows")
		for _, name := range ended {
			if !slices.Contains(strings.Fields(tr.out.String()), "websocketconnection.connections.wsproxy.io/"+name) {
				t.Fatalf("nothing is said of %s", name)
			}
		}
	})
}
