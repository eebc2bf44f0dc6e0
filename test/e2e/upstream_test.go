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
	r := newRoom(t, "e2e-upstream-deleted", 2)
	p := r.proxy("echo", reconnecting)
	clients := r.talk(p, thousand)
	r.heard(clients, time.Minute)

	old := podUIDs(r.backends())
	for _, pod := range r.backends() {
		if err := r.Delete(t.Context(), &pod); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 2*time.Minute, "two new backends", func(context.Context) error { return r.backendsReady(2, old) })
	r.heard(clients, 2*time.Minute)
	// The echo says 1001 right after an answer. A message that crosses it on the
	// wire is rare, but nobody can answer it.
	outlived(t, clients, thousand/100)
}

func TestAThousandClientsOutliveTheDeathOfTheirUpstream(t *testing.T) {
	r := newRoom(t, "e2e-upstream-killed", 2)
	p := r.proxy("echo", nil)
	clients := r.talk(p, thousand)
	r.heard(clients, time.Minute)
	// It protects them though they were opened while it was off.
	r.patch(p, `{"spec":{"settings":{"autoReconnect":true,"autoReconnectMaxRetries":60,"autoReconnectRetryDelay":500}}}`)
	r.programmed(p)

	for _, pod := range r.backends() {
		kill(t, &pod)
	}
	r.heard(clients, 2*time.Minute)
	for _, pod := range r.backends() {
		if n := pod.Status.ContainerStatuses[0].RestartCount; n != 1 {
			t.Errorf("backend %s was restarted %d times, want once", pod.Name, n)
		}
	}
	// What a process had been sent and had not answered dies with it. That takes
	// a while: the kernel goes on acknowledging what comes until the sockets of a
	// killed process are closed, a tenth of a second later on a busy machine, so
	// nobody can tell that it was never read. A client says something once a
	// second: a loss of more than one message each would be a loss of ours.
	outlived(t, clients, thousand)
}

// outlived stops the clients and fails unless all of them stayed open and every
// message came back, apart from at most lost of them.
func outlived(t *testing.T, clients *fleet.Fleet, lost uint64) {
	t.Helper()
	report := clients.Stop(t.Context())
	t.Logf("of %d messages %d had no answer; the longest wait for one was %v", report.Totals.Sent, report.Totals.Missing, report.Totals.Longest)
	if err := report.CheckOpen(); err != nil {
		t.Error(err)
	}
	if err := report.CheckAll(); err != nil && (report.Totals.Missing > lost || others(report) > 0) {
		t.Error(err)
	}
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
