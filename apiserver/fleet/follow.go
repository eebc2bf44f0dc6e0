// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

const (
	// linger is how long the stream of a pod stays when nobody watches it any more: who
	// was cut off comes back.
	linger = 10 * time.Second
	// askEvery is how often a pod is asked for a report at most. What others wait for is
	// delayed by as much.
	askEvery = 20 * time.Millisecond
	// reopenAfter is the first pause before a stream that broke is opened again, and
	// reopenAtMost the longest.
	reopenAfter  = 50 * time.Millisecond
	reopenAtMost = time.Second
)

// follow keeps the stream of a pod open until ctx ends.
func (h *hub) follow(ctx context.Context, f *feed) {
	pause := reopenAfter
	for {
		began := time.Now()
		err := h.stream(ctx, f)
		if ctx.Err() != nil {
			return
		}
		var said *Unanswered
		switch code := status.Code(err); {
		case code == codes.OutOfRange:
			h.behind(f)
		case errors.Is(err, io.EOF), code == codes.Unavailable, errors.As(err, &said):
			// It ends, or cannot be reached yet, or what it says was logged.
		default:
			f.pod.problem("cannot be watched", err)
		}
		if pause = min(2*pause, reopenAtMost); time.Since(began) > reopenAtMost {
			pause = reopenAfter
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// stream is one stream of a pod, until it ends.
func (h *hub) stream(ctx context.Context, f *feed) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := f.pod.client.Watch(ctx, f.pod.waits())
	if err != nil {
		return err
	}
	h.mu.Lock()
	first := &dataplanev1alpha1.WatchRequest{From: int64(h.replica.From(f.pod)), Clock: int64(h.replica.Now())}
	h.mu.Unlock()
	if err := stream.Send(first); err != nil {
		_, err = stream.Recv() // It says why.
		return err
	}
	h.running.Go(func() { h.askOn(ctx, f, stream) })
	last := clock.Stamp(first.GetFrom()) - 1
	for {
		said, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := f.pod.checkChanges(said, last, time.Now()); err != nil {
			return f.pod.nonsense(err)
		}
		last = clock.Stamp(said.GetClock())
		if err := h.hear(ctx, f, said); err != nil {
			return f.pod.unanswered("says that it is later than it can be", err)
		}
		f.pod.answers()
	}
}

func (h *hub) hear(ctx context.Context, f *feed, said *dataplanev1alpha1.WatchResponse) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return nil // It is not wanted any more, which the replica was told.
	}
	return h.replica.Hear(f.pod, said)
}

func (h *hub) behind(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replica.Behind(f.pod)
}

// askOn asks the pod for reports when they are wanted.
func (h *hub) askOn(ctx context.Context, f *feed, stream dataplanev1alpha1.Connections_WatchClient) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.ask:
		}
		h.mu.Lock()
		request := &dataplanev1alpha1.WatchRequest{Clock: int64(h.replica.Now())}
		h.mu.Unlock()
		if stream.Send(request) != nil {
			return // Who receives is told.
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(askEvery):
		}
	}
}

// checkChanges returns what is wrong with a response that comes after one that was
// complete up to last.
func (p *Pod) checkChanges(said *dataplanev1alpha1.WatchResponse, last clock.Stamp, now time.Time) error {
	reached := clock.Stamp(said.GetClock())
	if reached < last || said.GetBoot() <= 0 || !strings.HasPrefix(said.GetPodId(), p.Prefix) {
		return fmt.Errorf("%q reports %d after %d, since %d", said.GetPodId(), reached, last, said.GetBoot())
	}
	for _, c := range said.GetChanges() {
		of := c.GetConnection()
		stamp := clock.Stamp(of.GetVersion())
		if stamp <= last || stamp > reached {
			return fmt.Errorf("a change at %d comes after %d with a report of %d", stamp, last, reached)
		}
		last = stamp
		if c.GetKind() < dataplanev1alpha1.Change_KIND_ADDED || c.GetKind() > dataplanev1alpha1.Change_KIND_DELETED {
			return fmt.Errorf("a change is of kind %d", c.GetKind())
		}
		if err := errors.Join(p.inOrder(of.GetName(), ""), check(of, now)); err != nil {
			return err
		}
	}
	return nil
}
