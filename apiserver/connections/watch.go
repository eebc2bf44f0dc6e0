// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/wsproxy/wsproxy/api/clock"
	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

const (
	// bookmarkEvery is how often those who want bookmarks get one, if anything has moved.
	// A pod keeps what has happened for two minutes.
	bookmarkEvery = 10 * time.Second
	// lastBookmark is how long before its end a watch gets one more.
	lastBookmark = time.Second
	// unread is how long an event may wait for the one before it to be read.
	unread = 10 * time.Second
	// atOnce events are taken out of the merge.
	atOnce = 500
)

// Watch implements rest.Watcher.
func (s *Storage) Watch(ctx context.Context, options *internalversion.ListOptions) (watch.Interface, error) {
	if options == nil {
		options = &internalversion.ListOptions{}
	}
	version, err := numberOf(options)
	if err != nil {
		return nil, err
	}
	chosen := selectionOf(ctx, options)
	// Who wants the state first says how old it may be, and not where to go on.
	initial := version == 0
	if wanted := options.SendInitialEvents; wanted != nil {
		initial = *wanted
	}
	if err := s.fleet.Confirm(ctx, chosen.namespace); err != nil {
		return nil, unavailable("it is not known which data-plane pods there are: " + err.Error())
	}
	from := version
	switch {
	case initial:
		if err := s.fleet.WaitFor(ctx, version); err != nil {
			return nil, apiError(ctx, "", err)
		}
		from = 0
	case version == 0: // From now on, whatever there is.
		from = s.fleet.Version()
		s.fleet.Complete(from)
	}
	query := fleet.Query{Pods: chosen.pod, Keep: chosen.keep(), SourceIP: chosen.sourceIP()}
	if initial {
		query.Take = taker(ctx, perWatched, perWatchedText, errLargeWatch)
	}
	followed, err := s.fleet.Watch(ctx, query, from)
	if err != nil {
		return nil, apiError(ctx, "", err)
	}
	w := &watcher{
		followed: followed, chosen: chosen, match: chosen.match(), events: make(chan watch.Event), stopped: make(chan struct{}),
		initial: initial, bookmarks: options.AllowWatchBookmarks, version: version,
	}
	ctx, w.cancel = context.WithCancel(ctx)
	s.metrics.begins()
	go func() {
		defer close(w.stopped)
		s.metrics.ends(w.run(ctx))
	}()
	return w, nil
}

// watcher is one watch on its way to whoever asked for it.
type watcher struct {
	followed  *fleet.Watch
	chosen    selection
	match     matcher
	events    chan watch.Event
	cancel    context.CancelFunc
	stopped   chan struct{} // Closed when nothing of it runs any more.
	initial   bool          // There is state that was not sent yet.
	bookmarks bool
	// version is the last that was sent.
	version clock.Stamp
}

var _ watch.Interface = (*watcher)(nil)

// ResultChan implements watch.Interface.
func (w *watcher) ResultChan() <-chan watch.Event { return w.events }

// Stop implements watch.Interface.
func (w *watcher) Stop() {
	w.cancel()
	<-w.stopped
}

// run sends events until ctx ends, nobody reads them, or they end by themselves. It
// returns which of these it was.
func (w *watcher) run(ctx context.Context) (reason string) {
	defer close(w.events)
	defer w.followed.Stop() //nolint:contextcheck // It may begin streams for others.
	defer w.cancel()
	due := time.Now().Add(bookmarkEvery)
	end, ends := ctx.Deadline()
	for {
		events, version, initial, err := w.followed.Next(ctx, atOnce)
		if err != nil {
			return w.fail(ctx, err)
		}
		for _, e := range events {
			if event, ok := w.event(e); ok && !w.send(ctx, event) {
				return w.unsent(ctx)
			}
		}
		now := time.Now()
		last := ends && end.Sub(now) < lastBookmark
		switch {
		case w.initial && !initial:
			w.initial, due = false, now.Add(bookmarkEvery)
			settle(ctx)
			if w.bookmarks && !w.send(ctx, w.bookmark(version, true)) {
				return w.unsent(ctx)
			}
		case w.initial || !w.bookmarks || version <= w.version || now.Before(due) && !last:
		default:
			if due = now.Add(bookmarkEvery); !w.send(ctx, w.bookmark(version, false)) {
				return w.unsent(ctx)
			}
		}
	}
}

// send returns false when there is nobody to send to any more.
func (w *watcher) send(ctx context.Context, event watch.Event) bool {
	slow := time.NewTimer(unread)
	defer slow.Stop()
	select {
	case w.events <- event:
		return true
	case <-ctx.Done():
		return false
	case <-slow.C:
		return false
	}
}

// unsent says why an event could not be sent.
func (*watcher) unsent(ctx context.Context) (reason string) {
	if ctx.Err() != nil {
		return endClient
	}
	return endSlow
}

// fail says why the watch ends, where it is not by whoever watches. One that was too
// slow just ends: it may go on from where it is.
func (w *watcher) fail(ctx context.Context, err error) (reason string) {
	if ctx.Err() != nil {
		return endClient
	}
	reason = reasonOf(err)
	if reason == endSlow {
		return reason
	}
	status := apiError(ctx, "", err)
	if w.initial {
		// There is nothing that could be too old.
		status = unavailable("a data-plane pod has changed before everything was said")
	}
	var known apierrors.APIStatus
	if errors.As(status, &known) {
		w.send(ctx, watch.Event{Type: watch.Error, Object: new(known.Status())})
	}
	return reason
}

// bookmark is an event that says nothing but the version.
func (w *watcher) bookmark(version clock.Stamp, initialEnd bool) watch.Event {
	w.version = version
	object := &connectionsv1alpha1.WebSocketConnection{}
	object.ResourceVersion = textOf(version)
	if initialEnd {
		object.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	}
	return watch.Event{Type: watch.Bookmark, Object: object}
}

// event returns what is to be said of a change, and false where that is nothing: a
// connection that comes to be selected is added, and one that ceases to be is deleted.
func (w *watcher) event(e fleet.Event) (watch.Event, bool) {
	entry := fleet.Entry{Pod: e.Pod, Connection: e.Change.GetConnection()}
	kind := kindOf(e.Change, w.match, entry)
	if kind == "" {
		return watch.Event{}, false
	}
	object := objectOf(entry)
	if !e.Initial {
		w.version = e.Version
		object.ResourceVersion = textOf(e.Version)
	}
	return watch.Event{Type: kind, Object: object}, true
}

// numberOf is the version of options; 0: there is none. The error is a bad request.
func numberOf(options *internalversion.ListOptions) (clock.Stamp, error) {
	if options == nil || options.ResourceVersion == "" {
		return 0, nil
	}
	version, err := parseVersion(options.ResourceVersion)
	if err != nil {
		return 0, &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusBadRequest, Reason: metav1.StatusReasonBadRequest,
			Message: fmt.Sprintf("resourceVersion %q is no positive integer", options.ResourceVersion),
		}}
	}
	return version, nil
}
