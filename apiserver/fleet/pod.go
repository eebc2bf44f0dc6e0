// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// clocks is how far those of a pod and of this server may be apart: a change that
// comes later is not made, and one that comes at once must be.
const clocks = 5 * time.Second

// Pod is one data-plane pod that can be asked. Namespace and Proxy are what its
// certificate was verified against: it cannot speak for others.
type Pod struct {
	Namespace, Name string
	// Proxy is the name of the WebSocketProxy, in the same namespace.
	Proxy string
	// Prefix is what the names of all its connections begin with.
	Prefix string

	target  target
	timeout time.Duration
	conn    *grpc.ClientConn
	client  dataplanev1alpha1.ConnectionsClient
	calls   *calls
	sends   *calls // apart, so that clients who do not read keep nobody from asking
	logger  logr.Logger
	// young is until when the pod may refuse connections before that is its answer:
	// its process listens a moment after its container is said to run.
	young time.Time
	// restarts is what the kubelet has told, guarded by the fleet's mu.
	restarts int32
	// gone is closed when the pod is not to be asked any more, after reason was set.
	gone   chan struct{}
	reason error

	mu sync.Mutex
	// why, guarded by mu, is the problem that was logged last; empty since the pod
	// answered.
	why string
}

// newPod returns a pod that is connected to when it is asked first.
func newPod(t target, options *Options) (*Pod, error) {
	address := net.JoinHostPort(t.ip, strconv.Itoa(options.Port))
	// "passthrough" takes the address as it is: nothing is looked up in DNS.
	conn, err := grpc.NewClient("passthrough:///"+address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(newFreshTLS(options.ClientDir, dataplanev1alpha1.ServerName(t.namespace, t.proxy))),
		grpc.WithDefaultServiceConfig(retryReads),
		// A proxy of the environment is for the way out of the cluster.
		grpc.WithNoProxy(),
		// A pod that begins refuses connections for about a second. Whoever asks
		// it then should not wait much longer than that.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: options.Timeout,
		}),
		// A node that vanished sends no reset. Pods allow a ping every 5 s, with no
		// call under way.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithUserAgent("wsproxy-apiserver"),
	}, options.GRPC...)...)
	if err != nil {
		return nil, fmt.Errorf("pod %s/%s: %w", t.namespace, t.name, err)
	}
	return &Pod{
		Namespace: t.namespace,
		Name:      t.name,
		Proxy:     t.proxy,
		Prefix:    dataplanev1alpha1.PodPrefix(string(t.uid)),
		target:    t,
		timeout:   options.Timeout,
		conn:      conn,
		client:    dataplanev1alpha1.NewConnectionsClient(conn),
		calls:     newCalls(options.Timeout/4, maxCalls),
		sends:     newCalls(options.Timeout/4, maxSends),
		logger:    options.Logger.WithValues("pod", t.namespace+"/"+t.name),
		young:     time.Now().Add(options.Youth),
		gone:      make(chan struct{}),
	}, nil
}

// retryReads has gRPC repeat a read whose connection broke before the pod had
// answered: a pod that restarted, or a connection that nobody had used for long.
// What changes something is not repeated, because the pod may have done it.
const retryReads = `{"methodConfig": [{
	"name": [
		{"service": "wsproxy.dataplane.v1alpha1.Connections", "method": "Get"},
		{"service": "wsproxy.dataplane.v1alpha1.Connections", "method": "List"},
		{"service": "wsproxy.dataplane.v1alpha1.Connections", "method": "GetClosed"},
		{"service": "wsproxy.dataplane.v1alpha1.Connections", "method": "ListClosed"}
	],
	"retryPolicy": {
		"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

// String is "namespace/name".
func (p *Pod) String() string { return p.Namespace + "/" + p.Name }

// close ends the calls that are under way. They fail with the reason: errRemoved,
// errReplaced or errStopped.
func (p *Pod) close(reason error) {
	p.reason = reason
	close(p.gone)
	_ = p.conn.Close()
}

// ask asks one question. The error is errRemoved, errReplaced, ErrUnknown, *Refused
// or *Unanswered; reached says that the question came as far as a connection to the
// pod.
func (p *Pod) ask(ctx context.Context, question func(ctx context.Context, options ...grpc.CallOption) error) (reached bool, err error) {
	return p.askAmong(ctx, p.calls, question)
}

// askAmong is ask that takes its turn among these calls.
func (p *Pod) askAmong(ctx context.Context, others *calls, question func(ctx context.Context, options ...grpc.CallOption) error) (reached bool, err error) {
	leave, err := p.enter(ctx, others)
	if err != nil {
		return false, p.explain(err)
	}
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var at peer.Peer
	err = question(limited, p.waits(), grpc.Peer(&at))
	leave(p.outcome(ctx, limited, err))
	if err != nil {
		err = p.explain(err)
	}
	return at.Addr != nil, err
}

// waits says whether a call waits until the pod takes connections.
func (p *Pod) waits() grpc.CallOption { return grpc.WaitForReady(time.Now().Before(p.young)) }

// enter waits for its turn among these calls, as long as for an answer.
func (p *Pod) enter(ctx context.Context, others *calls) (leave func(outcome), err error) {
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return others.enter(limited)
}

// outcome tells the silence of the pod from the impatience of the caller. A pod
// that says anything is not silent.
func (p *Pod) outcome(ctx, limited context.Context, err error) outcome {
	switch {
	case err == nil:
		p.answers()
		return answered
	case limited.Err() != nil && ctx.Err() == nil:
		return timedOut
	default:
		return unclear
	}
}

// problem logs why the pod has not answered, once until it is another reason.
func (p *Pod) problem(why string, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why != why {
		p.why = why
		p.logger.Info("Pod does not answer", "why", why, "cause", cause.Error())
	}
}

func (p *Pod) answers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why != "" {
		p.why = ""
		p.logger.Info("Pod answers again")
	}
}

func (p *Pod) get(ctx context.Context, of Of, name string) (c *dataplanev1alpha1.Connection, err error) {
	get := p.client.Get
	if of == Closed {
		get = p.client.GetClosed
	}
	_, err = p.ask(ctx, func(ctx context.Context, options ...grpc.CallOption) error {
		answer, err := get(ctx, &dataplanev1alpha1.GetRequest{Name: name}, options...)
		c = answer.GetConnection()
		return err
	})
	if err == nil {
		err = p.about(of, c, name)
	}
	return c, err
}

func (p *Pod) disconnect(ctx context.Context, request *dataplanev1alpha1.DisconnectRequest) (c *dataplanev1alpha1.Connection, err error) {
	reached, err := p.ask(ctx, func(ctx context.Context, options ...grpc.CallOption) error {
		timely := proto.CloneOf(request)
		timely.NotAfter = timestamppb.New(time.Now().Add(max(p.timeout, clocks)))
		answer, err := p.client.Disconnect(ctx, timely, options...)
		c = answer.GetConnection()
		return err
	})
	if err == nil {
		err = p.about(Live, c, request.GetName())
	}
	return c, p.unclear(reached, err)
}

// unclear makes of the error of a change that was asked for one that says whether it
// may happen.
func (p *Pod) unclear(reached bool, err error) error {
	if reached && errors.Is(err, errReplaced) {
		// It was asked, so it is not asked again.
		err = &Unanswered{Pod: p, Why: "changed while it was asked"}
	}
	var unanswered *Unanswered
	if errors.As(err, &unanswered) {
		unanswered.MayHappen = reached
	}
	return err
}

// about refuses an answer that is not about the connection that was asked for,
// or that cannot be.
func (p *Pod) about(of Of, c *dataplanev1alpha1.Connection, name string) error {
	if c.GetName() != name {
		return p.nonsense(fmt.Errorf("asked for %q, it answered with %q", name, c.GetName()))
	}
	if err := of.check(c, time.Now()); err != nil {
		return p.nonsense(err)
	}
	return nil
}

// nonsense is the error of an answer that cannot be believed.
func (p *Pod) nonsense(cause error) *Unanswered {
	return p.unanswered("gave an answer that makes no sense", cause)
}
