// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/merge"
)

// maxReplayed changes are taken of one pod for one watch that resumes: who has missed
// more does better to list.
const maxReplayed = 10_000

// wholeState is how many timeouts of a pod it may take until all pods of a watch have told
// what there is: a million connections take more than one.
const wholeState = 20

var errMissedTooMuch = fmt.Errorf("more than %d changes of a pod were missed", maxReplayed)

// Event is a change of a connection as those who watch are told.
type Event = merge.Event[*Pod]

// Version returns a version for a list that is about to be made. Confirm comes first.
func (f *Fleet) Version() clock.Stamp {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	return f.hub.replica.List()
}

// Complete notes that the list of a Version has everything.
func (f *Fleet) Complete(version clock.Stamp) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	f.hub.replica.Listed(version)
}

// WaitFor returns when the clock of this replica is at a version, which it gave out, or
// another one did. The error is merge.ErrExpired where that is from the future, or that
// of ctx.
func (f *Fleet) WaitFor(ctx context.Context, version clock.Stamp) error {
	for {
		f.hub.mu.Lock()
		wait, err := f.hub.replica.Wait(version)
		f.hub.mu.Unlock()
		if wait == 0 || err != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Watch is one who follows the connections of pods.
type Watch struct {
	hub   *hub
	merge *merge.Watch[*Pod]
	query Query // for what there is
	woken chan struct{}
	ctx   context.Context
	stop  context.CancelFunc
}

// Watch follows the pods of a query from a version on, or, where that is 0, begins with
// what there is that it wants. What changes is not chosen. The pods must have been confirmed. It must be stopped. Errors:
// merge.ErrExpired where it cannot go on from there; *Unanswered where it cannot begin,
// because a pod is missing; that of the query's Take; that of ctx.
func (f *Fleet) Watch(ctx context.Context, query Query, version clock.Stamp) (*Watch, error) {
	if err := f.Ready(); err != nil {
		return nil, err
	}
	if version > 0 {
		if err := f.WaitFor(ctx, version); err != nil {
			return nil, err
		}
	}
	w, err := f.hub.watch(query, version) //nolint:contextcheck // Streams of pods serve all who watch: they end with the fleet.
	if err != nil {
		return nil, err
	}
	if err := w.begin(ctx, version == 0); err != nil {
		w.Stop() //nolint:contextcheck // It may begin streams for others.
		return nil, err
	}
	return w, nil
}

func (h *hub) watch(query Query, version clock.Stamp) (*Watch, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &Watch{hub: h, query: query, woken: make(chan struct{}, 1)}
	if version == 0 {
		w.merge = h.replica.Begin(query.Pods, w.wake)
	} else {
		resumed, err := h.replica.Resume(version, query.Pods, w.wake)
		if err != nil {
			return nil, err
		}
		w.merge = resumed
	}
	w.ctx, w.stop = context.WithCancel(h.lasting)
	h.feedLocked()
	return w, nil
}

func (w *Watch) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// begin returns when every pod in the scope has said what it has to. A pod that says
// nothing is waited for as long as for an answer; those that are telling what there is
// may go on, because there may be much of it.
func (w *Watch) begin(ctx context.Context, initial bool) error {
	late := time.NewTimer(w.hub.timeout)
	defer late.Stop()
	end := time.Now().Add(wholeState * w.hub.timeout)
	var before []*Pod // Were missing when the timer fired last.
	for {
		w.join()
		w.hub.mu.Lock()
		err, complete := w.merge.Err(), w.merge.Complete()
		w.hub.mu.Unlock()
		if complete && err == nil {
			w.wake()
			return nil
		}
		if err != nil {
			return w.incomplete(err, initial)
		}
		select {
		case <-w.woken:
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			w.hub.mu.Lock()
			unheard, missing := w.merge.Unheard(), w.merge.Missing()
			w.hub.mu.Unlock()
			if p := overdue(unheard, missing, before, time.Now().After(end)); p != nil {
				return w.incomplete(&Unanswered{Pod: p, Why: fmt.Sprintf("cannot be watched within %v", w.hub.timeout)}, initial)
			}
			before = missing
			late.Reset(w.hub.timeout)
		}
	}
}

// overdue is a pod that is not waited for any more, when so much time is over as for an
// answer: one that has said nothing, or, at the end, one that was missing before. A pod
// that has just appeared has its time as well.
func overdue(unheard, missing, before []*Pod, end bool) *Pod {
	if len(unheard) > 0 {
		return unheard[0]
	}
	for _, p := range missing {
		if end && slices.Contains(before, p) {
			return p
		}
	}
	return nil
}

// incomplete is the error of a watch that cannot begin: who has nothing to go on from
// has to come again, and who has to list.
func (w *Watch) incomplete(why error, initial bool) error {
	var missing *Unanswered
	var full *fullError
	switch {
	case errors.As(why, &full):
		return full.why
	case initial && errors.As(why, &missing):
		return missing
	case initial:
		return fmt.Errorf("a data-plane pod has changed meanwhile: %w", errChanged)
	case errors.Is(why, merge.ErrExpired):
		return why
	default:
		return fmt.Errorf("%w: %w", merge.ErrExpired, why)
	}
}

var errChanged = errors.New("it is worth to ask again")

// join asks pods for what the watch has to know of them.
func (w *Watch) join() {
	w.hub.mu.Lock()
	joins := w.merge.Joins()
	w.hub.mu.Unlock()
	for _, j := range joins {
		w.hub.running.Go(func() { w.hub.join(w.ctx, j, w.query) })
	}
}

// join asks one pod, and twice where the first answer says so.
func (h *hub) join(ctx context.Context, j merge.Join[*Pod], query Query) {
	select {
	case h.joining <- struct{}{}:
		defer func() { <-h.joining }()
	case <-ctx.Done():
		return
	}
	if !j.List {
		said, before, err := j.Pod.replay(ctx, j.From, j.Clock)
		h.mu.Lock()
		enough := true
		if err != nil {
			j.Failed(err)
		} else {
			enough = j.Replayed(said.GetPodId(), before, said.GetChanges(), clock.Stamp(said.GetClock()))
		}
		h.mu.Unlock()
		if enough {
			return
		}
	}
	about := listing{sent: j.Clock}
	entries, err := collect(ctx, query, j.Pod, &about)
	connections := make([]*dataplanev1alpha1.Connection, 0, len(entries))
	for _, e := range entries {
		connections = append(connections, e.Connection)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		j.Failed(err)
		return
	}
	j.Listed(about.process, connections, about.began)
}

// replay returns what has happened in the pod from a stamp on, up to now, as one
// response, and where its clock was before it was sent ours.
func (p *Pod) replay(ctx context.Context, from, sent clock.Stamp) (whole *dataplanev1alpha1.WatchResponse, before clock.Stamp, err error) {
	var refused error // By a pod that answers.
	_, err = p.ask(ctx, func(ctx context.Context, options ...grpc.CallOption) error {
		whole, before, err = p.replayAll(ctx, from, sent, options...)
		switch code := status.Code(err); {
		case code == codes.OutOfRange, errors.Is(err, errMissedTooMuch):
			refused = err
			return nil
		case code == codes.FailedPrecondition:
			refused = errUnfollowed
			return nil
		default:
			return err
		}
	})
	if errors.Is(refused, errUnfollowed) {
		p.problem("does not follow the clock of this server", refused)
	}
	return whole, before, errors.Join(err, refused)
}

func (p *Pod) replayAll(ctx context.Context, from, sent clock.Stamp, options ...grpc.CallOption) (whole *dataplanev1alpha1.WatchResponse, before clock.Stamp, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.client.Watch(ctx, options...)
	if err != nil {
		return nil, 0, err
	}
	if err := stream.Send(&dataplanev1alpha1.WatchRequest{From: int64(from), Clock: int64(sent), Once: true}); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	for last := from - 1; ; {
		said, err := stream.Recv()
		if errors.Is(err, io.EOF) && whole != nil {
			return whole, before, nil
		}
		if err != nil {
			return nil, 0, err
		}
		if err := p.checkChanges(said, last, time.Now()); err != nil {
			return nil, 0, err
		}
		if last = clock.Stamp(said.GetClock()); whole == nil {
			before = clock.Stamp(said.GetBefore())
		}
		said.Changes = append(whole.GetChanges(), said.GetChanges()...)
		if whole = said; len(said.GetChanges()) > maxReplayed {
			return nil, 0, errMissedTooMuch
		}
	}
}

// Next waits a moment for something to happen and returns events, at most so many, and
// how far they go: who has taken them knows everything up to version. initial says that
// what there was when the watch began is not all there yet. It may return no events.
// Errors: merge.ErrExpired, merge.ErrSlow, and that of ctx.
func (w *Watch) Next(ctx context.Context, atMost int) (events []Event, version clock.Stamp, initial bool, err error) {
	moment := time.NewTimer(time.Second)
	defer moment.Stop()
	select {
	case <-w.woken:
	case <-moment.C:
	case <-ctx.Done():
		return nil, 0, false, ctx.Err()
	}
	w.join()
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if err := w.merge.Err(); err != nil {
		return nil, 0, false, err
	}
	events = w.merge.Release(atMost)
	if len(events) == atMost {
		w.wake()
	}
	for _, p := range w.merge.Behind() {
		w.hub.askLocked(p)
	}
	return events, w.merge.Version(), w.merge.Initial(), nil
}

func (h *hub) askLocked(p *Pod) {
	if f := h.pods[p]; f != nil {
		select {
		case f.ask <- struct{}{}:
		default:
		}
	}
}

// Stop ends the watch.
func (w *Watch) Stop() {
	w.stop()
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.hub.replica.End(w.merge)
	w.hub.feedLocked()
}
