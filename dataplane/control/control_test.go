// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/control"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pod is a server with what it serves.
type pod struct {
	store    *config.Store
	registry *registry.Registry
	drains   atomic.Int32
	address  string
	server   *control.Server
}

func at(version uint64) *dataplanev1alpha1.Snapshot {
	return &dataplanev1alpha1.Snapshot{
		Version: version, Namespace: "shop", Proxy: "chat", Digest: []byte("one"),
		Settings: &dataplanev1alpha1.Settings{ConnectTimeout: 30},
		Upstream: &dataplanev1alpha1.Upstream{Service: true},
	}
}

// start serves on loopback until the test ends; without certificates it serves
// plainly.
func start(t *testing.T, dir *certs.Dir) *pod {
	t.Helper()
	return startWith(t, dir, registry.Bounds{})
}

func startWith(t *testing.T, dir *certs.Dir, history registry.Bounds) *pod {
	t.Helper()
	initial, err := config.Compile(at(0))
	if err != nil {
		t.Fatal(err)
	}
	p := &pod{
		store:    config.NewStore(initial, t.TempDir()),
		registry: registry.NewWith(registry.NewPodID("a pod", time.Unix(1767323045, 0)), registry.Options{History: history}),
	}
	p.server = control.New(control.Options{
		Store:    p.store,
		Registry: p.registry,
		Drain:    func() { p.drains.Add(1) },
		Draining: func() bool { return p.drains.Load() > 0 },
		Certs:    dir,
		Logger:   logr.Discard(),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(l) }()
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		p.server.Stop(ended)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return p
}

func dial(t *testing.T, address string, transport credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func plainly(t *testing.T, p *pod) (dataplanev1alpha1.ConfigurationClient, dataplanev1alpha1.ConnectionsClient) {
	t.Helper()
	conn := dial(t, p.address, insecure.NewCredentials())
	return dataplanev1alpha1.NewConfigurationClient(conn), dataplanev1alpha1.NewConnectionsClient(conn)
}

func wantCode(t *testing.T, err error, want codes.Code, doing string) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%s: %v (%v), want %v", doing, got, err, want)
	}
}
