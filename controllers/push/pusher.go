// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/types"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Options of a Pusher; each is required but for what says otherwise.
type Options struct {
	// ClientTLS returns the configuration of a new connection to the server of
	// that name.
	ClientTLS func(serverName string) (*tls.Config, error)
	// Changed is called when what is known of a pod of the proxy has changed. It
	// must not block.
	Changed func(proxy types.NamespacedName)
	Metrics *Metrics
	// GRPC are more options of the connections to pods. Default none.
	GRPC []grpc.DialOption
	// Timeout bounds one call. Default 5 s.
	Timeout time.Duration
	// Poll is the pause between two looks at a pod that has what it should have:
	// it finds a pod that lost it, and refreshes the number of connections.
	// Default 15 s.
	Poll time.Duration
	// Retry is the longest pause between attempts at a pod. Default 2 s.
	Retry time.Duration
}

// Pusher pushes to the pods of any number of proxies.
type Pusher struct {
	options Options
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	proxies map[types.NamespacedName]map[types.UID]*worker
}

// New returns a Pusher. Its goroutines end when Start's context does, or at
// Close.
func New(options Options) *Pusher {
	withDefault := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	withDefault(&options.Timeout, 5*time.Second)
	withDefault(&options.Poll, 15*time.Second)
	withDefault(&options.Retry, 2*time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	return &Pusher{options: options, ctx: ctx, cancel: cancel, proxies: map[types.NamespacedName]map[types.UID]*worker{}}
}

// Start blocks until ctx ends, and ends every goroutine of the Pusher then.
func (p *Pusher) Start(ctx context.Context) error {
	<-ctx.Done()
	p.Close()
	return nil
}

// Close ends every goroutine of the Pusher and waits for them.
func (p *Pusher) Close() {
	p.mu.Lock()
	p.cancel()
	p.mu.Unlock()
	p.running.Wait()
}

// Set says what the pods of a proxy should have, and which pods there are: a pod
// that is new is pushed to at once, one that is not listed any more is left
// alone. It does not block.
//
// snapshot carries its version. Errors: a snapshot that cannot be encoded.
func (p *Pusher) Set(proxy types.NamespacedName, snapshot *dataplanev1alpha1.Snapshot, targets []Target) error {
	wanted, err := contentOf(snapshot)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return nil
	}
	pods := p.proxies[proxy]
	if pods == nil {
		pods = map[types.UID]*worker{}
		p.proxies[proxy] = pods
	}
	listed := map[types.UID]bool{}
	for _, t := range targets {
		listed[t.UID] = true
		w := pods[t.UID]
		if w != nil && w.target().Address != t.Address {
			// The sandbox of a pod was made again, with another address.
			w.cancel()
			w = nil
		}
		if w != nil {
			w.set(t, wanted)
			continue
		}
		w = newWorker(p, proxy, t)
		w.set(t, wanted)
		pods[t.UID] = w
		p.running.Go(w.run)
	}
	for uid, w := range pods {
		if !listed[uid] {
			w.cancel()
			delete(pods, uid)
		}
	}
	return nil
}

// Forget leaves the pods of a proxy alone from now on.
func (p *Pusher) Forget(proxy types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.proxies[proxy] {
		w.cancel()
	}
	delete(p.proxies, proxy)
}

// Pods returns what is known of the pods of a proxy that were listed last, by
// uid.
func (p *Pusher) Pods(proxy types.NamespacedName) map[types.UID]Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	pods := make(map[types.UID]Pod, len(p.proxies[proxy]))
	for uid, w := range p.proxies[proxy] {
		pods[uid] = w.state()
	}
	return pods
}
