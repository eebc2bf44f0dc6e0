// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/types"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/certificates"
)

// echo is the proxy of the tests.
var echo = types.NamespacedName{Namespace: "default", Name: "echo"}

// patience is how long the tests wait for what must come.
const patience = 20 * time.Second

// pki signs for both sides.
type pki struct {
	t     *testing.T
	state certificates.State
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	state, err := certificates.State{}.Advance(time.Now(), certificates.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	return &pki{t, state}
}

func (p *pki) issue(name string, usage x509.ExtKeyUsage) tls.Certificate {
	p.t.Helper()
	pair, err := p.state.Issue(certificates.Request{DNSNames: []string{name}, Usage: usage}, time.Now(), certificates.DefaultPolicy())
	if err != nil {
		p.t.Fatal(err)
	}
	return *pair.TLS()
}

func (p *pki) roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(p.state.Current.Certificate)
	return roots
}

// pod is a control server.
type pod struct {
	dataplanev1alpha1.UnimplementedConfigurationServer
	t       *testing.T
	pki     *pki
	name    string
	address string
	server  *grpc.Server

	mu      sync.Mutex
	run     int
	inForce *dataplanev1alpha1.Snapshot
	applied []uint64
	asked   int
	// old says that the pod is of a version that knows no digests.
	old bool
	// answer, where set, is asked before Apply does anything.
	answer func() error
}

// newPod starts a server whose certificate names that proxy.
func newPod(t *testing.T, pki *pki, name string, proxy types.NamespacedName) *pod {
	t.Helper()
	p := &pod{t: t, pki: pki, name: name, address: "127.0.0.1:0"}
	p.serve(proxy)
	return p
}

func (p *pod) serve(proxy types.NamespacedName) {
	p.t.Helper()
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.address = listener.Addr().String()
	p.mu.Lock()
	p.run++
	p.inForce = nil
	p.mu.Unlock()
	own := p.pki.issue(dataplanev1alpha1.ServerName(proxy.Namespace, proxy.Name), x509.ExtKeyUsageServerAuth)
	p.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own},
		ClientCAs: p.pki.roots(), ClientAuth: tls.RequireAndVerifyClientCert,
	})))
	dataplanev1alpha1.RegisterConfigurationServer(p.server, p)
	done := make(chan struct{})
	go func() { defer close(done); _ = p.server.Serve(listener) }()
	server := p.server
	p.t.Cleanup(func() { server.Stop(); <-done })
}

func (p *pod) Apply(_ context.Context, r *dataplanev1alpha1.ApplyRequest) (*dataplanev1alpha1.ApplyResponse, error) {
	p.mu.Lock()
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		if err := answer(); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := r.GetSnapshot(); s.GetVersion() < p.inForce.GetVersion() || s.GetVersion() == p.inForce.GetVersion() && !bytes.Equal(s.GetDigest(), p.inForce.GetDigest()) {
		return nil, status.Error(codes.FailedPrecondition, "newer in force")
	}
	p.inForce = r.GetSnapshot()
	p.applied = append(p.applied, p.inForce.GetVersion())
	return &dataplanev1alpha1.ApplyResponse{Version: p.inForce.GetVersion(), Digest: p.digest(), PodId: fmt.Sprint(p.run), Connections: 3}, nil
}

func (p *pod) Status(context.Context, *dataplanev1alpha1.StatusRequest) (*dataplanev1alpha1.StatusResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	return &dataplanev1alpha1.StatusResponse{Version: p.inForce.GetVersion(), Digest: p.digest(), PodId: fmt.Sprint(p.run), Connections: 3}, nil
}

func (p *pod) digest() []byte {
	if p.old {
		return nil
	}
	return p.inForce.GetDigest()
}

func (p *pod) target() Target {
	return Target{Name: p.name, UID: types.UID(p.name), Run: "first", Address: p.address}
}

func (p *pod) pushes() []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]uint64(nil), p.applied...)
}

// room is a Pusher and what it tells of itself.
type room struct {
	*Pusher
	t       *testing.T
	changed chan types.NamespacedName
	metrics *prometheus.Registry
}

func newRoom(t *testing.T, pki *pki, change ...func(*Options)) *room {
	t.Helper()
	r := &room{t: t, changed: make(chan types.NamespacedName, 1000), metrics: prometheus.NewRegistry()}
	own := pki.issue(dataplanev1alpha1.ClientOperator, x509.ExtKeyUsageClientAuth)
	options := Options{
		ClientTLS: func(serverName string) (*tls.Config, error) {
			return &tls.Config{MinVersion: tls.VersionTLS13, ServerName: serverName, RootCAs: pki.roots(), Certificates: []tls.Certificate{own}}, nil
		},
		Changed: func(proxy types.NamespacedName) { r.changed <- proxy },
		Metrics: NewMetrics(r.metrics),
		Retry:   50 * time.Millisecond,
	}
	for _, c := range change {
		c(&options)
	}
	r.Pusher = New(options)
	t.Cleanup(r.Close)
	return r
}

// set wants the same of every pod.
func (r *room) set(version uint64, retries int32, pods ...*pod) {
	r.t.Helper()
	var targets []Target
	for _, p := range pods {
		targets = append(targets, p.target())
	}
	if err := r.Set(echo, snapshot(version, retries), targets); err != nil {
		r.t.Fatal(err)
	}
}

// until waits for what is known of a pod to satisfy check. It looks only when it
// was told of a change, so it also tests that changes are told.
func (r *room) until(p *pod, check func(Pod) bool) {
	r.t.Helper()
	timeout := time.After(patience)
	for !check(r.Pods(echo)[types.UID(p.name)]) {
		select {
		case <-r.changed:
		case <-timeout:
			r.t.Fatalf("after %s: pod %s is %+v", patience, p.name, r.Pods(echo)[types.UID(p.name)])
		}
	}
}

func acknowledged(p Pod) bool { return p.Acknowledged }

// snapshot is one that differs from another by its retries.
func snapshot(version uint64, retries int32) *dataplanev1alpha1.Snapshot {
	return &dataplanev1alpha1.Snapshot{Version: version, Namespace: echo.Namespace, Proxy: echo.Name,
		Settings: &dataplanev1alpha1.Settings{MaxRetries: retries}}
}
