// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// reconnecting is a proxy that holds its clients while their upstream is away.
func reconnecting(spec *wsproxyv1alpha1.WebSocketProxySpec) {
	spec.Settings.AutoReconnect = new(true)
	spec.Settings.AutoReconnectMaxRetries = new(int32(60))
	spec.Settings.AutoReconnectRetryDelay = new(int32(500))
}

func TestAThousandClientsOutliveThePodsOfTheirUpstream(t *testing.T) {
	for _, test := range []struct {
		name      string
		namespace string
		grace     []client.DeleteOption
		// lost bounds the messages that may be left without an answer.
		lost uint64
	}{
		// The echo says 1001 right after an answer. A message that crosses it on
		// the wire is rare, but nobody can answer it.
		{"that leave politely", "e2e-upstream-deleted", nil, thousand / 100},
		// What a killed process had read or was sent is gone with it: with one
		// message a second, more than one of a client is a loss of ours.
		{"that are killed", "e2e-upstream-killed", []client.DeleteOption{client.GracePeriodSeconds(0)}, thousand},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRoom(t, test.namespace, 2)
			p := r.proxy("echo", reconnecting)
			clients := r.talk(p, thousand)
			r.heard(clients, time.Minute)

			old := podUIDs(r.backends())
			if len(old) != 2 {
				t.Fatalf("there are %d backends, want 2", len(old))
			}
			for _, pod := range r.backends() {
				if err := r.Delete(t.Context(), &pod, test.grace...); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, 2*time.Minute, "two new backends", func(context.Context) error { return r.renewed(old) })
			r.heard(clients, 2*time.Minute)

			report := clients.Stop(t.Context())
			t.Logf("of %d messages %d had no answer, the longest wait for one was %v", report.Totals.Sent, report.Totals.Missing, report.Totals.Longest)
			if err := report.CheckOpen(); err != nil {
				t.Error(err)
			}
			if err := report.CheckAll(); err != nil && (report.Totals.Missing > test.lost || others(report) > 0) {
				t.Error(err)
			}
		})
	}
}

// renewed returns an error unless two backends are ready and neither is old.
func (r *room) renewed(old map[string]types.UID) error {
	ready := 0
	for _, pod := range r.backends() {
		if _, ok := old[pod.Name]; !ok && isReady(&pod) {
			ready++
		}
	}
	if ready != 2 {
		return fmt.Errorf("%d are ready", ready)
	}
	return nil
}

// others is the number of messages that did not come back as they should, apart
// from those that did not come back at all.
func others(r *fleet.Report) uint64 {
	return r.Totals.Duplicated + r.Totals.OutOfOrder + r.Totals.Foreign
}

func TestWithoutAutoReconnectTheLossReachesTheClient(t *testing.T) {
	r := newRoom(t, "e2e-upstream-off", 1)
	p := r.proxy("echo", nil)
	clients := r.talk(p, 20)
	r.heard(clients, time.Minute)
	for _, pod := range r.backends() {
		if err := r.Delete(t.Context(), &pod); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, "the clients to be closed", func(context.Context) error {
		if open := clients.Totals().Open; open > 0 {
			return fmt.Errorf("%d are open", open)
		}
		return nil
	})
	for _, record := range clients.Report().Records {
		if record.Code != 1001 || record.Reason != "the server is going away" {
			t.Errorf("client %s was closed with %d %q, want the backend's own 1001", record.ID, record.Code, record.Reason)
		}
	}
	if err := clients.Report().CheckOpen(); !errors.Is(err, fleet.ErrClosed) {
		t.Errorf("the record says %v", err)
	}
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
