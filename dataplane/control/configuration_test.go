// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

func TestApplyAnswersAsTheContractSays(t *testing.T) {
	p := start(t, nil)
	p.registry.Add(newConnection)
	client, _ := plainly(t, p)
	other, invalid := at(8), at(8)
	other.Proxy = "feed"
	invalid.Settings.MaxRetries = 101
	another := at(7)
	another.Digest = []byte("another")
	for _, step := range []struct {
		name     string
		snapshot *dataplanev1alpha1.Snapshot
		code     codes.Code
		says     string
		inForce  uint64
	}{
		{"the first version", at(7), codes.OK, "", 7},
		{"the same again", at(7), codes.OK, "", 7},
		{"a lower one", at(6), codes.FailedPrecondition, "6 is lower than 7", 7},
		{"another proxy", other, codes.FailedPrecondition, `"shop/feed", this pod serves "shop/chat"`, 7},
		{"an unusable one", invalid, codes.InvalidArgument, "settings.maxRetries: Invalid value: 101: must be 0 to 100", 7},
		{"none", nil, codes.InvalidArgument, "snapshot: required", 7},
		{"the same version with another content", another, codes.FailedPrecondition, "with another content: 7", 7},
		{"a higher one", at(8), codes.OK, "", 8},
	} {
		response, err := client.Apply(t.Context(), &dataplanev1alpha1.ApplyRequest{Snapshot: step.snapshot})
		wantCode(t, err, step.code, step.name)
		if err != nil && !strings.Contains(err.Error(), step.says) {
			t.Errorf("%s: error %q, want it to say %q", step.name, err, step.says)
		}
		if err == nil && (response.GetVersion() != step.inForce || response.GetPodId() != string(p.registry.PodID()) || response.GetConnections() != 1 || string(response.GetDigest()) != "one") {
			t.Errorf("%s: answered %v", step.name, response)
		}
		if got := p.store.Current().Snapshot.GetVersion(); got != step.inForce {
			t.Errorf("%s: version %d in force, want %d", step.name, got, step.inForce)
		}
	}
}

func TestStatusAndDrain(t *testing.T) {
	p := start(t, nil)
	client, _ := plainly(t, p)
	p.registry.Add(newConnection)
	p.registry.Add(newConnection)
	status, err := client.Status(t.Context(), &dataplanev1alpha1.StatusRequest{})
	if err != nil || status.GetVersion() != 0 || status.GetConnections() != 2 || status.GetDraining() || status.GetPodId() != string(p.registry.PodID()) || string(status.GetDigest()) != "one" {
		t.Errorf("status %v, %v", status, err)
	}
	drained, err := client.Drain(t.Context(), &dataplanev1alpha1.DrainRequest{})
	if err != nil || drained.GetConnections() != 2 || p.drains.Load() != 1 {
		t.Errorf("drain %v, %v; begun %d times", drained, err, p.drains.Load())
	}
	if status, err = client.Status(t.Context(), &dataplanev1alpha1.StatusRequest{}); err != nil || !status.GetDraining() {
		t.Errorf("status %v, %v", status, err)
	}
}

func TestWithoutTLSItServesOnLoopbackOnly(t *testing.T) {
	p := start(t, nil)
	// The listener is closed before anybody could connect: Serve must refuse it by
	// its address.
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.server.Serve(l); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("Serve on %v: %v", l.Addr(), err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the refused listener is still open")
	}
}

func TestStopDoesNotWaitForCallersThatStay(t *testing.T) {
	p := start(t, nil)
	for range 2000 {
		p.registry.Add(newVerbose)
	}
	conn := dial(t, p.address, insecure.NewCredentials())
	// A listing that is never read to its end keeps the server busy: its chunks
	// are more than what flow control lets through.
	stream, err := dataplanev1alpha1.NewConnectionsClient(conn).List(t.Context(), &dataplanev1alpha1.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p.server.Stop(ctx)
	if ctx.Err() == nil {
		t.Error("Stop ended before its time though a call was running")
	}
	for err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, err, codes.Unavailable, "the listing")
}
