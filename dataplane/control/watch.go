// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

const (
	// reportEvery is how often a watch says where the clock is.
	reportEvery = 250 * time.Millisecond
	// gather is how long a watch waits after a change for more of them: opening a
	// connection alone is two, and each response costs as much as some ten changes.
	gather = 5 * time.Millisecond
	// changesAtOnce go into one response. With the longest texts that the data plane
	// keeps that is below 1 MiB; gRPC clients take 4.
	changesAtOnce = 256
	// stalled is how long a response may wait until somebody reads. What it keeps is
	// one response, a window of 64 KiB and three goroutines.
	stalled = 10 * time.Second
	// maxWatches bounds how many watch at a time: one for each replica, and one more
	// for each client that resumes at it.
	maxWatches = 64
)

// Watch implements the service.
func (c *connections) Watch(stream grpc.BidiStreamingServer[dataplanev1alpha1.WatchRequest, dataplanev1alpha1.WatchResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetFrom() < 0 || first.GetClock() < 0 {
		return status.Errorf(codes.InvalidArgument, "from: %d, clock: %d: must not be negative", first.GetFrom(), first.GetClock())
	}
	if c.watches.Add(1) > maxWatches {
		c.watches.Add(-1)
		return status.Errorf(codes.ResourceExhausted, "%d watch already", maxWatches)
	}
	defer c.watches.Add(-1)
	before := c.registry.Clock().Last()
	began, err := c.begin(clock.Stamp(first.GetClock()))
	if err != nil {
		return err
	}
	w := &watch{connections: c, stream: stream, next: clock.Stamp(first.GetFrom()), began: began, once: first.GetOnce(), asked: make(chan struct{}, 1)}
	if w.next == 0 {
		w.next = began + 1
	}
	w.response = &dataplanev1alpha1.WatchResponse{Before: int64(before)}
	return w.serve()
}

// watch is one caller who watches. A goroutine sends and another one reads; when
// the call ends, gRPC makes both of them fail.
type watch struct {
	*connections
	stream grpc.BidiStreamingServer[dataplanev1alpha1.WatchRequest, dataplanev1alpha1.WatchResponse]
	// began is where the clock was; once says that nothing is wanted that comes after.
	began clock.Stamp
	once  bool
	// asked has an element when a report is wanted at once.
	asked chan struct{}
	// sending is since when a response waits to be read, in nanoseconds since 1970; 0:
	// none does.
	sending atomic.Int64

	// The fields below are those of the goroutine that sends. next is the stamp from
	// which on changes were not sent; response is the next one.
	next     clock.Stamp
	response *dataplanev1alpha1.WatchResponse
}

// serve returns when everything was sent, or the caller does not read.
func (w *watch) serve() error {
	go w.listen()
	sent := make(chan error, 1)
	go func() { sent <- w.send(w.stream.Context()) }()
	look := time.NewTicker(stalled / 4)
	defer look.Stop()
	for {
		select {
		case err := <-sent:
			return err
		case <-look.C:
			if since := w.sending.Load(); since != 0 && time.Since(time.Unix(0, since)) > stalled {
				w.logger.Info("A watch is cut, because nobody reads it")
				return status.Errorf(codes.DeadlineExceeded, "nothing was read for %v", stalled)
			}
		}
	}
}

// listen takes requests for reports until there are no more.
func (w *watch) listen() {
	for {
		r, err := w.stream.Recv()
		if err != nil {
			return
		}
		if r.GetClock() > 0 {
			_, _ = w.registry.Clock().MovePast(clock.Stamp(r.GetClock())) // The report shows that it was not followed.
		}
		select {
		case w.asked <- struct{}{}:
		default: // A report is on its way; it reads the clock later than this.
		}
	}
}

// send sends changes and reports. Its error is that of the call.
func (w *watch) send(ctx context.Context) error {
	changes := make([]registry.Change, changesAtOnce)
	for {
		ending := w.isEnding() // Before they are read: after it there are no more.
		n, reached, err := w.registry.Changes(w.next, changes)
		if err != nil {
			return status.Error(codes.OutOfRange, err.Error())
		}
		w.next = max(w.next, reached+1)
		for _, c := range changes[:n] {
			w.response.Changes = append(w.response.Changes, changeOf(c))
		}
		all := n < len(changes)
		clear(changes) // They keep what has ended in memory.
		ended := ending && all && w.drained()
		if err := w.respond(w.next-1, ended); err != nil {
			return err
		}
		switch {
		case w.once && reached >= w.began, ended:
			return nil
		case !all:
			continue
		case ending:
			return status.Error(codes.Unavailable, "the process is about to end")
		}
		if err := w.wait(ctx); err != nil {
			return err
		}
	}
}

// respond sends the response and begins the next one.
func (w *watch) respond(reached clock.Stamp, ended bool) error {
	r := w.response
	w.response = &dataplanev1alpha1.WatchResponse{}
	r.Clock, r.Ended = int64(reached), ended
	r.PodId, r.Boot = string(w.registry.PodID()), int64(w.registry.Clock().Boot())
	w.sending.Store(time.Now().UnixNano())
	err := w.stream.Send(r)
	w.sending.Store(0)
	return err
}

// wait returns when there is something to say.
func (w *watch) wait(ctx context.Context) error {
	report := time.NewTimer(reportEvery)
	defer report.Stop()
	select {
	case <-w.registry.Wake(w.next):
		report.Reset(gather)
	case <-report.C:
		return nil
	case <-w.asked:
		return nil
	case <-w.stopping:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	select {
	case <-report.C:
	case <-w.asked:
	case <-w.stopping:
	case <-ctx.Done():
	}
	return nil
}

func (w *watch) isEnding() bool {
	select {
	case <-w.stopping:
		return true
	default:
		return false
	}
}

// drained says that there are no connections and will be none: who drains takes no
// more once all have ended.
func (w *watch) drained() bool { return w.draining() && w.registry.Len() == 0 }

var kinds = map[registry.Kind]dataplanev1alpha1.Change_Kind{
	registry.Added:    dataplanev1alpha1.Change_KIND_ADDED,
	registry.Modified: dataplanev1alpha1.Change_KIND_MODIFIED,
	registry.Deleted:  dataplanev1alpha1.Change_KIND_DELETED,
}

func changeOf(c registry.Change) *dataplanev1alpha1.Change {
	return &dataplanev1alpha1.Change{Kind: kinds[c.Kind], Connection: c.Describe(), Before: c.Before}
}
