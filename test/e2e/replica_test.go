// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

func TestReadsGoOnWhenAReplicaOfTheAPIServerDies(t *testing.T) {
	r := newRoom(t, "e2e-replica", 1)
	p := r.proxy("echo", nil)
	clients := r.talk(p, 50)
	all := held(t, clients)
	replicas := r.part("apiserver")
	if len(replicas) != 2 {
		t.Fatalf("there are %d replicas of the aggregated API server, want 2", len(replicas))
	}
	readers := []*reader{
		{what: "list", read: func(ctx context.Context) error {
			list := &connectionsv1alpha1.WebSocketConnectionList{}
			if err := r.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
				return err
			}
			return same(namesOf(list), all)
		}},
		{what: "get", read: func(ctx context.Context) error {
			return r.Get(ctx, r.key(all[7]), &connectionsv1alpha1.WebSocketConnection{})
		}},
		{what: "kubectl get wsc", read: func(context.Context) error {
			names, err := kubectl(t, "", "-n", r.namespace, "get", "wsc", "-o", "name")
			// A replica that has just begun may warn of what it does not know yet.
			listed := strings.Count("\n"+names, "\nwebsocketconnection.")
			switch {
			case err == nil && listed != len(all):
				return fmt.Errorf("%d are listed, want %d: %s", listed, len(all), names)
			case err != nil && strings.Contains(names, "ServiceUnavailable"):
				return apierrors.NewServiceUnavailable(names)
			case err != nil:
				return fmt.Errorf("%w: %s", err, names)
			}
			return nil
		}},
	}
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	defer reading.Wait()
	defer stop()
	for _, reader := range readers {
		reading.Go(func() { reader.run(ctx) })
	}

	r.answered(readers)
	kill(t, &replicas[0])
	r.restarted(&replicas[0])
	r.answered(readers)
	mustKubectl(t, "", "-n", operatorNamespace, "delete", "pod", replicas[1].Name, "--force", "--grace-period=0")
	eventually(t, time.Minute, "two replicas", func(context.Context) error {
		ready := 0
		for _, pod := range r.part("apiserver") {
			if isReady(&pod) {
				ready++
			}
		}
		if ready != 2 {
			return fmt.Errorf("%d are ready", ready)
		}
		return nil
	})
	r.answered(readers)
	stop()
	reading.Wait()
	for _, reader := range readers {
		t.Logf("%s: answered %d times, the longest wait for an answer was %v; refused %d times: %v",
			reader.what, reader.answered, reader.longest.Round(time.Millisecond), reader.refused, reader.refusal)
		if reader.wrong != nil {
			t.Errorf("%s: %v", reader.what, reader.wrong)
		}
		// kube-apiserver answers 503 for a second or so, until it is led to the
		// replica that is left.
		if reader.longest > answerWithin {
			t.Errorf("%s: the longest wait for an answer was %v", reader.what, reader.longest)
		}
	}
}

// answered waits until every reader has been answered ten times more.
func (r *room) answered(readers []*reader) {
	r.t.Helper()
	for _, reader := range readers {
		before := reader.count()
		eventually(r.t, time.Minute, reader.what+" to be answered", func(context.Context) error {
			if n := reader.count() - before; n < 10 {
				return fmt.Errorf("it was answered %d times", n)
			}
			return nil
		})
	}
}

// reader reads again and again, as somebody does who wants an answer.
type reader struct {
	what string
	// read asks once. An error that is not ServiceUnavailable is a wrong answer.
	read func(context.Context) error

	// mu guards everything below.
	mu                sync.Mutex
	answered, refused int
	refusal, wrong    error
	// longest is the longest time without an answer.
	longest time.Duration
}

func (r *reader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answered
}

func (r *reader) run(ctx context.Context) {
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for last := time.Now(); ctx.Err() == nil; {
		err := r.read(ctx)
		if ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		switch {
		case err == nil:
			r.answered++
			r.longest = max(r.longest, time.Since(last))
			last = time.Now()
		case apierrors.IsServiceUnavailable(err):
			r.refused++
			r.refusal = err
		default:
			r.wrong = errors.Join(r.wrong, err)
		}
		r.mu.Unlock()
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
	}
}
