// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/types"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// firstRetry is the pause after a first failure; it doubles up to Options.Retry.
const firstRetry = 50 * time.Millisecond

// worker sees to one pod. Its goroutine, run, is the only one that calls the
// pod.
type worker struct {
	pusher *Pusher
	proxy  types.NamespacedName
	ctx    context.Context
	cancel context.CancelFunc
	// wake has room for one: whoever finds it full knows that run will look.
	wake chan struct{}

	mu     sync.Mutex
	wanted content
	pod    Pod
	// acked is what the pod acknowledged last; zero before, and while a push is
	// under way or ended without an answer.
	acked ack
	// sure says that the pod still has what it acknowledged. Where it may not,
	// because it may have been restarted, it is asked first.
	sure bool
	// looked is when the pod answered last.
	looked time.Time
}

// ack is what one run of a pod acknowledged.
type ack struct {
	hash    [sha256.Size]byte
	version uint64
	podID   string
}

func newWorker(p *Pusher, proxy types.NamespacedName, t Target) *worker {
	ctx, cancel := context.WithCancel(p.ctx)
	return &worker{pusher: p, proxy: proxy, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1), pod: Pod{Target: t}}
}

func (w *worker) target() Target {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pod.Target
}

func (w *worker) state() Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pod
}

// set says what the pod should have from now on.
func (w *worker) set(t Target, wanted content) {
	w.mu.Lock()
	defer w.mu.Unlock()
	again := t.Run != w.pod.Run
	if again {
		w.sure = false
	}
	if !again && wanted.hash == w.wanted.hash && wanted.snapshot.GetVersion() == w.wanted.snapshot.GetVersion() {
		return
	}
	w.pod.Target = t
	w.wanted = wanted
	w.pod.Newer = false
	w.pod.Acknowledged = w.sure && w.acked.hash == wanted.hash
	w.signal()
}

// unsure makes run ask the pod what it has.
func (w *worker) unsure() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sure = false
	w.signal()
}

func (w *worker) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run brings the pod to what is wanted until the worker's context ends.
func (w *worker) run() {
	defer w.cancel()
	conn := w.dial()
	defer func() { _ = conn.Close() }()
	watched := make(chan struct{})
	go func() { defer close(watched); w.watch(conn) }()
	defer func() { w.cancel(); <-watched }()

	retry := firstRetry
	for {
		pause, err := w.step(conn)
		switch {
		case w.ctx.Err() != nil:
			return
		case err != nil:
			pause = retry + rand.N(retry/5) // #nosec G404 -- jitter.
			retry = min(2*retry, w.pusher.options.Retry)
		default:
			retry = firstRetry
		}
		timer := time.NewTimer(pause)
		select {
		case <-w.ctx.Done():
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
		if w.ctx.Err() != nil {
			return
		}
	}
}

// watch keeps the connection up and makes run look when it has come up again:
// that is how a pod that comes back is pushed to at once, not after a pause.
func (w *worker) watch(conn *grpc.ClientConn) {
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Idle:
			conn.Connect()
		case connectivity.Ready:
			w.unsure()
		}
		if !conn.WaitForStateChange(w.ctx, state) {
			return
		}
	}
}

// step does what the pod needs next, if anything, and returns for how long there
// is nothing to do.
func (w *worker) step(conn *grpc.ClientConn) (time.Duration, error) {
	w.mu.Lock()
	wanted, acked, sure, looked := w.wanted, w.acked, w.sure, w.looked
	// What happens from here on may make the pod doubtful again.
	w.sure = true
	w.mu.Unlock()

	poll := w.pusher.options.Poll
	had := acked.hash == wanted.hash
	if sure && had && time.Since(looked) < poll {
		return poll - time.Since(looked), nil
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.pusher.options.Timeout)
	defer cancel()
	client := dataplanev1alpha1.NewConfigurationClient(conn)

	// What the pod has is asked for first: another operator, or this one before
	// it was restarted, may have pushed the same already.
	if !sure || had {
		answer, err := client.Status(ctx, &dataplanev1alpha1.StatusRequest{})
		if err != nil {
			return w.failed(err)
		}
		now := ack{wanted.hash, answer.GetVersion(), answer.GetPodId()}
		// A pod that was pushed the same content under a lower version keeps
		// that version, and only who pushed it knows: an operator that has just
		// started pushes once.
		if now.version == wanted.snapshot.GetVersion() || now == acked {
			if now != acked {
				w.pusher.options.Metrics.skipped()
			}
			w.acknowledged(now, answer.GetConnections())
			return poll, nil
		}
	}
	w.mu.Lock()
	w.acked = ack{}
	w.mu.Unlock()
	started := time.Now()
	answer, err := client.Apply(ctx, &dataplanev1alpha1.ApplyRequest{Snapshot: wanted.snapshot})
	w.pusher.options.Metrics.pushed(err, time.Since(started))
	if err != nil {
		return w.failed(err)
	}
	w.acknowledged(ack{wanted.hash, answer.GetVersion(), answer.GetPodId()}, answer.GetConnections())
	return poll, nil
}

// acknowledged records what the pod has.
func (w *worker) acknowledged(has ack, connections int64) {
	w.mu.Lock()
	before := w.pod
	w.acked = has
	w.looked = time.Now()
	w.pod.Version = has.version
	w.pod.Connections = connections
	w.pod.Problem = nil
	w.pod.Newer = false
	w.pod.Acknowledged = w.wanted.hash == has.hash
	after := w.pod
	w.mu.Unlock()
	if after != before {
		w.pusher.options.Changed(w.proxy)
	}
}

// failed records why the pod has not what is wanted, and returns err; for a
// refusal that no retry heals also for how long there is nothing to do.
func (w *worker) failed(err error) (time.Duration, error) {
	if w.ctx.Err() != nil {
		return 0, err
	}
	problem := &Refusal{Code: status.Code(err), Message: status.Convert(err).Message()}
	w.mu.Lock()
	before := w.pod
	w.sure = false
	w.pod.Acknowledged = false
	w.pod.Newer = problem.Code == codes.FailedPrecondition
	// The same problem again is no news.
	if before.Problem == nil || *before.Problem != *problem {
		w.pod.Problem = problem
	}
	after := w.pod
	w.mu.Unlock()
	if after != before {
		w.pusher.options.Changed(w.proxy)
	}
	if after.Newer {
		return w.pusher.options.Poll, nil
	}
	return 0, err
}
