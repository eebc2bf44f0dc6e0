// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// What Kubernetes itself must change replaces the pods: one after the other takes over,
// who is connected is told 1012, and who comes meanwhile is let in.
func TestAChangedPodTemplateReplacesThePodsPolitely(t *testing.T) {
	r := newRoom(t, "e2e-rollout", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Drain.TimeoutSeconds = new(int32(3)) })
	pods := podUIDs(r.pods(p.Name))
	r.spread(p)
	clients := r.talk(p, 100)
	r.heard(clients, time.Minute)
	visitors := r.visit(p)

	r.patch(p, `{"spec":{"podTemplate":{"annotations":{"example.com/rolled":"yes"}}}}`)
	eventually(t, 2*time.Minute, "two other pods", func(ctx context.Context) error {
		d := &appsv1.Deployment{}
		if err := r.Get(ctx, r.key(p.Name+"-wsproxy"), d); err != nil {
			return err
		}
		if ready := d.Status.ReadyReplicas; ready < 2 {
			t.Errorf("%d pods are ready, though two are wanted and none may be unavailable", ready)
		}
		now := podUIDs(r.pods(p.Name))
		maps.DeleteFunc(now, func(name string, _ types.UID) bool { return pods[name] != "" })
		if len(now) != 2 || len(r.pods(p.Name)) != 2 {
			return fmt.Errorf("%d of %d pods are new", len(now), len(r.pods(p.Name)))
		}
		return nil
	})
	eventually(t, 2*time.Minute, "the clients of the former pods to be told", func(context.Context) error {
		if open := clients.Totals().Open; open > 0 {
			return fmt.Errorf("%d are open", open)
		}
		return nil
	})
	if refused := visitors(); len(refused) > 0 {
		t.Errorf("%d were not let in meanwhile, one of them: %v", len(refused), refused[0])
	}
	report := clients.Stop(t.Context())
	for _, record := range report.Records {
		if record.Code != websocket.CloseServiceRestart {
			t.Errorf("client %s was closed with %d %q, want 1012", record.ID, record.Code, record.Reason)
		}
	}
	if n := others(report); n > 0 {
		t.Errorf("%d messages came twice, out of order or damaged", n)
	}
	r.ready(p)
}

// visit lets somebody come, say something and leave, again and again, until the
// returned function is called, which returns why they were not let in.
func (r *room) visit(p *wsproxyv1alpha1.WebSocketProxy) (stop func() []error) {
	r.t.Helper()
	url := r.url(p)
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan []error, 1)
	go func() {
		var refused []error
		visits := 0
		for ; ctx.Err() == nil; visits++ {
			if err := visit(url); err != nil {
				refused = append(refused, err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
		if visits == 0 {
			refused = append(refused, errors.New("nobody came"))
		}
		done <- refused
	}()
	r.t.Cleanup(cancel)
	return func() []error { cancel(); return <-done }
}

func visit(url string) error {
	conn, response, err := websocket.DefaultDialer.Dial(url, nil)
	if response != nil {
		_ = response.Body.Close()
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, _, err := conn.ReadMessage(); err != nil {
		return err
	}
	return conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
}
