// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
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
	// era counts the contents that were wanted one after the other.
	era uint64
	pod Pod
	// acked is what the pod acknowledged last; zero before, and while a push is
	// under way or ended without an answer.
	acked ack
	// sure says that the pod still has what it acknowledged. Where it may not,
	// because it may have been restarted, it is asked first.
	sure bool
	// looked is when the pod answered last.
	looked time.Time
}

// ack is what one run of a pod acknowledged. That it was in the present era says
// that nothing else was wanted since: only then may the pod keep a version that is
// lower than that of the same content now. Otherwise an operator that was stopped
// in the middle of pushing what was wanted in between would find a pod that takes
// it.
type ack struct {
	era     uint64
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
	if wanted.digest != w.wanted.digest {
		w.era++
	} else if w.pod.Acknowledged && !again {
		w.pusher.options.Metrics.skipped()
	}
	if !again && wanted.digest == w.wanted.digest && wanted.snapshot.GetVersion() == w.wanted.snapshot.GetVersion() {
		return
	}
	w.pod.Target = t
	w.wanted = wanted
	w.pod.Newer = false
	w.pod.Acknowledged = w.sure && w.acked.era == w.era
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
	wanted, era, acked, sure, looked := w.wanted, w.era, w.acked, w.sure, w.looked
	// What happens from here on may make the pod doubtful again.
	w.sure = true
	w.mu.Unlock()

	poll := w.pusher.options.Poll
	had := acked.era == era
	if sure && had && time.Since(looked) < poll {
		return poll - time.Since(looked), nil
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.pusher.options.Timeout)
	defer cancel()
	client := dataplanev1alpha1.NewConfigurationClient(conn)

	// What the pod has is asked for first: another operator, or this one before
	// it was restarted, may have pushed the same already, or something newer.
	if !sure || had {
		has, err := client.Status(ctx, &dataplanev1alpha1.StatusRequest{})
		if err != nil {
			return w.failed(err)
		}
		// A pod that was pushed the same content under a lower version keeps
		// that version, and only who pushed it knows: an operator that has just
		// started pushes once.
		same := had && acked.version == has.GetVersion() && acked.podID == has.GetPodId() && !wanted.differs(has)
		switch {
		case wanted.is(has) || same:
			if !same {
				w.pusher.options.Metrics.skipped()
			}
			w.acknowledged(has, era)
			return poll, nil
		case wanted.isBehind(has):
			w.isAhead(has, wanted)
			return poll, nil
		}
	}
	w.mu.Lock()
	w.acked = ack{}
	w.mu.Unlock()
	started := time.Now()
	has, err := client.Apply(ctx, &dataplanev1alpha1.ApplyRequest{Snapshot: wanted.snapshot})
	switch {
	case status.Code(err) == codes.FailedPrecondition:
		// Somebody has pushed something newer since the pod was asked, so it is
		// asked again.
		if now, silent := client.Status(ctx, &dataplanev1alpha1.StatusRequest{}); silent == nil && wanted.isBehind(now) {
			w.isAhead(now, wanted)
			return poll, nil
		}
		return w.failed(err)
	case err != nil:
		return w.failed(err)
	case !wanted.is(has):
		w.isAhead(has, wanted)
		return poll, nil
	}
	w.pusher.options.Metrics.applied(time.Since(started))
	w.acknowledged(has, era)
	return poll, nil
}

// acknowledged records that the pod has what was wanted in that era.
func (w *worker) acknowledged(has answer, era uint64) {
	w.record(func() {
		w.acked = ack{era, has.GetVersion(), has.GetPodId()}
		w.answered(has)
		w.pod.Problem = nil
		w.pod.Newer = false
		w.pod.Acknowledged = w.era == era
	})
}

// isAhead records that the pod has something that what is wanted must not
// replace. Another look comes with the next poll, or when something else is
// wanted.
func (w *worker) isAhead(has answer, wanted content) {
	message := fmt.Sprintf("version %d is in force, %d is wanted", has.GetVersion(), wanted.snapshot.GetVersion())
	if has.GetVersion() == wanted.snapshot.GetVersion() {
		message = fmt.Sprintf("version %d is in force with another content", has.GetVersion())
	}
	w.pusher.options.Metrics.failed()
	w.record(func() {
		w.answered(has)
		w.sure = false
		w.pod.Acknowledged = false
		w.problem(&Refusal{codes.FailedPrecondition, message})
		// Something else may be wanted by now, which set has put right already.
		w.pod.Newer = w.wanted.isBehind(has)
	})
}

// failed records why the pod has not what is wanted, and returns err.
func (w *worker) failed(err error) (time.Duration, error) {
	if w.ctx.Err() != nil {
		return 0, err
	}
	w.pusher.options.Metrics.failed()
	w.record(func() {
		w.sure = false
		w.pod.Acknowledged = false
		w.pod.Newer = false
		w.problem(w.refusal(err))
	})
	return 0, err
}

// refusal says why a call failed, in the words of the pod where it said something.
func (w *worker) refusal(err error) *Refusal {
	if status.Code(err) == codes.DeadlineExceeded {
		return &Refusal{codes.DeadlineExceeded, fmt.Sprintf("no answer within %v", w.pusher.options.Timeout)}
	}
	return &Refusal{status.Code(err), ownPort.ReplaceAllString(status.Convert(err).Message(), "")}
}

// ownPort is what errors of connections say of our side of them. It is another one
// each time, and would make the same problem news.
var ownPort = regexp.MustCompile(`\S+:\d+->`)

// record changes what is known of the pod, and tells of it where it is something
// else than before.
func (w *worker) record(change func()) {
	w.mu.Lock()
	before := w.pod
	change()
	after := w.pod
	w.mu.Unlock()
	if after != before {
		w.pusher.options.Changed(w.proxy)
	}
}

// answered is called with mu held.
func (w *worker) answered(has answer) {
	w.looked = time.Now()
	w.pod.Version, w.pod.Digest = has.GetVersion(), string(has.GetDigest())
	w.pod.Connections = has.GetConnections()
}

// problem is called with mu held. The same problem again is no news.
func (w *worker) problem(p *Refusal) {
	if w.pod.Problem == nil || *w.pod.Problem != *p {
		w.pod.Problem = p
	}
}
