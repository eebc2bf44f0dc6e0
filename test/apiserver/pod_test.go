// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/control"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// lastIP numbers the addresses of pods. The whole of 127.0.0.0/8 is loopback;
// where in it this process begins keeps it apart from others on the machine.
var lastIP atomic.Uint32

// pod is a Pod object and what listens at its address.
type pod struct {
	namespace, proxy, name string
	uid                    types.UID
	ip                     string
	id                     registry.PodID
	registry               *registry.Registry
	connections            map[string]*connection
	entries                map[string]*registry.Entry
	draining               atomic.Bool
	stop                   func()
}

func newPod(namespace, proxy, name string, uid types.UID) *pod {
	n := uint32(os.Getpid())<<8 + lastIP.Add(1)
	p := &pod{
		namespace: namespace, proxy: proxy, name: name, uid: uid,
		ip:          fmt.Sprintf("127.%d.%d.%d", 64+n>>16&63, n>>8&255, n&255),
		connections: map[string]*connection{},
		entries:     map[string]*registry.Entry{},
	}
	p.id = registry.NewPodID(string(uid), time.Now())
	p.registry = registry.New(p.id)
	return p
}

// someUID is one as the API server makes them.
func someUID() types.UID { return uuid.NewUUID() }

// object is the Pod as it is while its containers run.
func (p *pod) object() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.name, UID: p.uid, Labels: objects.Labels(p.proxy)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: objects.ContainerName, Image: "none"}}},
		Status:     p.status(),
	}
}

func (p *pod) status() corev1.PodStatus {
	return corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: p.ip, PodIPs: []corev1.PodIP{{IP: p.ip}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: objects.ContainerName, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}},
	}
}

// connect opens n connections and returns their names.
func (p *pod) connect(n int) []string {
	names := make([]string, 0, n)
	for i := range n {
		c := &connection{sourceIP: fmt.Sprintf("192.0.2.%d", i%10), path: fmt.Sprintf("/chat/%d", i), since: time.Now()}
		entry := p.registry.Add(func(id registry.ID) registry.Connection {
			c.closing = func() { p.registry.Report(id, dataplanev1alpha1.Phase_PHASE_CLOSING, "10.0.0.7:8080") }
			return c
		})
		name := entry.ID().Name()
		p.connections[name], p.entries[name] = c, entry
		names = append(names, name)
	}
	return names
}

// ended returns the names of the connections that were disconnected.
func (p *pod) ended() []string {
	var names []string
	for name, c := range p.connections {
		if _, was := c.ended(); was {
			names = append(names, name)
		}
	}
	return names
}

// serve answers at the pod's address until the test ends or stop is called.
func (p *pod) serve(t *testing.T, authority *certstest.Authority, port int) {
	t.Helper()
	dir := t.TempDir()
	authority.Write(t, filepath.Join(dir, dataplanev1alpha1.FileControlCert), filepath.Join(dir, dataplanev1alpha1.FileControlKey),
		dataplanev1alpha1.ServerName(p.namespace, p.proxy))
	certstest.Replace(t, filepath.Join(dir, dataplanev1alpha1.FileControlCA), authority.PEM())
	initial, err := config.Compile(&dataplanev1alpha1.Snapshot{
		Namespace: p.namespace, Proxy: p.proxy,
		Settings: &dataplanev1alpha1.Settings{ConnectTimeout: 30},
		Upstream: &dataplanev1alpha1.Upstream{Service: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := control.New(control.Options{
		Store: config.NewStore(initial, t.TempDir()), Registry: p.registry,
		Drain: func() {}, Draining: p.draining.Load,
		Certs: certs.NewDir(dir, logr.Discard()), Logger: logr.Discard(),
	})
	p.run(t, port, server.Serve, func() {
		ended, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if !p.draining.Load() {
			cancel() // It is killed.
		}
		server.Stop(ended)
	})
}

// hang takes calls and never answers one, as a process does that was stopped.
func (p *pod) hang(t *testing.T, authority *certstest.Authority, port int) {
	t.Helper()
	pair := authority.Pair(t, dataplanev1alpha1.ServerName(p.namespace, p.proxy))
	stopped := make(chan struct{})
	server := grpc.NewServer(
		grpc.Creds(credentials.NewServerTLSFromCert(&pair)),
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			// Not until the call's deadline: it may come here a moment before it does there,
			// and an error is an answer.
			<-stopped
			return nil
		}),
	)
	p.run(t, port, server.Serve, func() { close(stopped); server.Stop() })
}

func (p *pod) run(t *testing.T, port int, serve func(net.Listener) error, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", p.ip, port))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serve(listener) }()
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		stop()
		if err := <-served; err != nil {
			t.Errorf("pod %s: %v", p.name, err)
		}
	}
	t.Cleanup(func() { p.stop() })
}
