// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// lastIP numbers the addresses 127.0.1.1, 127.0.1.2 and so on.
var lastIP atomic.Int32

// pod is a Pod object and the control server that it reports the address of.
type pod struct {
	dataplanev1alpha1.UnimplementedConfigurationServer
	room   *room
	proxy  string
	object *corev1.Pod
	ip     string
	server *grpc.Server

	mu sync.Mutex
	// run is the pod id that the server answers with.
	run int
	// inForce is the snapshot in force, nil before the first push.
	inForce *dataplanev1alpha1.Snapshot
	// applied are the versions that were pushed and accepted, in order, over all
	// runs.
	applied []uint64
	// said are their numbers of retries.
	said []int32
	// keeps says that the accepted snapshot outlives a run, as it does in a pod
	// whose container is started again.
	keeps bool
	// statuses counts the calls of Status.
	statuses int
	// refuse answers Apply with this error.
	refuse error
	// hang, while it is not closed, keeps Apply from answering.
	hang chan struct{}
	// ahead is how much higher a version the pod claims to have than it was pushed.
	ahead uint64
	// connections is the number of live connections that the pod reports.
	connections int64
}

// pod makes a pod of the proxy that runs, is ready and serves the control
// protocol.
func (r *room) pod(proxy, name string) *pod {
	r.Helper()
	p := r.pendingPod(proxy, name)
	p.serve()
	p.report(true)
	return p
}

// pendingPod makes a pod that has been scheduled and has no address yet.
func (r *room) pendingPod(proxy, name string) *pod {
	r.Helper()
	p := &pod{room: r, proxy: proxy, ip: fmt.Sprintf("127.0.1.%d", lastIP.Add(1))}
	p.object = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: objects.Labels(proxy)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: objects.ContainerName, Image: image}}},
	}
	// As the ReplicaSet controller makes it, for a template whose hash is 5d4.
	p.object.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = "5d4"
	p.object.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: objects.Name(proxy) + "-5d4", UID: uuid.NewUUID(), Controller: new(true),
	}}
	r.create(p.object)
	return p
}

// report says what the kubelet would.
func (p *pod) report(ready bool) {
	p.room.Helper()
	is := corev1.ConditionFalse
	if ready {
		is = corev1.ConditionTrue
	}
	before := p.object.DeepCopy()
	p.object.Status = corev1.PodStatus{
		Phase:      corev1.PodRunning,
		PodIP:      p.ip,
		PodIPs:     []corev1.PodIP{{IP: p.ip}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: is}},
	}
	if err := p.room.api.Status().Patch(p.room.Context(), p.object, client.MergeFrom(before)); err != nil {
		p.room.Fatal(err)
	}
}

// serve starts a run of the control server; the first one takes any port, each
// further one the same.
func (p *pod) serve() {
	p.room.Helper()
	address := p.ip + ":0"
	if known, ok := addresses.Load(p.ip); ok {
		address = known.(string)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		p.room.Fatal(err)
	}
	addresses.Store(p.ip, listener.Addr().String())
	p.mu.Lock()
	p.run++
	if !p.keeps {
		p.inForce = nil
	}
	p.mu.Unlock()
	p.server = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: p.certificates})),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	dataplanev1alpha1.RegisterConfigurationServer(p.server, p)
	done := make(chan struct{})
	go func() { defer close(done); _ = p.server.Serve(listener) }()
	p.room.Cleanup(func() { p.server.Stop(); <-done })
}

// certificates are those of the proxy's Secret, as of this handshake.
func (p *pod) certificates(*tls.ClientHelloInfo) (*tls.Config, error) {
	secret := &corev1.Secret{}
	key := types.NamespacedName{Namespace: p.room.namespace, Name: objects.Name(p.proxy)}
	if err := p.room.api.Get(context.Background(), key, secret); err != nil {
		return nil, err
	}
	own, err := tls.X509KeyPair(secret.Data[dataplanev1alpha1.FileControlCert], secret.Data[dataplanev1alpha1.FileControlKey])
	if err != nil {
		return nil, err
	}
	callers := x509.NewCertPool()
	if !callers.AppendCertsFromPEM(secret.Data[dataplanev1alpha1.FileControlCA]) {
		return nil, errors.New("no certificate authority in the Secret")
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{own},
		ClientCAs:    callers,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		NextProtos:   []string{"h2"},
	}, nil
}

// fromOperator refuses callers without the operator's name.
func fromOperator(ctx context.Context) error {
	caller, _ := peer.FromContext(ctx)
	certificate := caller.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0]
	if err := certificate.VerifyHostname(dataplanev1alpha1.ClientOperator); err != nil {
		return status.Error(codes.PermissionDenied, err.Error())
	}
	return nil
}

func (p *pod) Apply(ctx context.Context, request *dataplanev1alpha1.ApplyRequest) (*dataplanev1alpha1.ApplyResponse, error) {
	if err := fromOperator(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	hang := p.hang
	p.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return nil, p.refuse
	}
	snapshot := request.GetSnapshot()
	if older := snapshot.GetVersion() < p.inForce.GetVersion(); older ||
		snapshot.GetVersion() == p.inForce.GetVersion() && !bytes.Equal(snapshot.GetDigest(), p.inForce.GetDigest()) {
		return nil, status.Errorf(codes.FailedPrecondition, "version %d is in force", p.inForce.GetVersion())
	}
	p.inForce = snapshot
	p.inForce.Version += p.ahead
	p.applied = append(p.applied, snapshot.GetVersion())
	p.said = append(p.said, snapshot.GetSettings().GetMaxRetries())
	return &dataplanev1alpha1.ApplyResponse{Version: snapshot.GetVersion(), Digest: snapshot.GetDigest(), PodId: p.id(), Connections: p.connections}, nil
}

func (p *pod) Status(ctx context.Context, _ *dataplanev1alpha1.StatusRequest) (*dataplanev1alpha1.StatusResponse, error) {
	if err := fromOperator(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statuses++
	return &dataplanev1alpha1.StatusResponse{Version: p.inForce.GetVersion(), Digest: p.inForce.GetDigest(), PodId: p.id(), Connections: p.connections}, nil
}

func (p *pod) id() string { return fmt.Sprintf("%s-%d", p.object.Name, p.run) }

// set changes how the pod behaves.
func (p *pod) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// pushes returns how often a configuration was accepted.
func (p *pod) pushes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.applied)
}

// has waits until what is in force in the pod satisfies check.
func (p *pod) has(check func(*dataplanev1alpha1.Snapshot) bool) {
	p.room.Helper()
	p.room.eventually(func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.inForce == nil || !check(p.inForce) {
			return fmt.Errorf("pod %s has %v", p.object.Name, p.inForce)
		}
		return nil
	})
}
