// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/apiserver/throttle"
)

const (
	// perChange connections that are ended together count as one change: ending
	// them one by one would cost this server about as many times as much.
	perChange = 100
	// maxEnding connections are ended at a time.
	maxEnding = 32
)

// DeleteCollection implements rest.CollectionDeleter. The answer lists what is
// closing. When a pod did not answer, that is an error, after everything else was
// ended: whoever asked must not believe that all is gone.
func (s *Storage) DeleteCollection(ctx context.Context, _ rest.ValidateObjectFunc, options *metav1.DeleteOptions, listOptions *internalversion.ListOptions) (runtime.Object, error) {
	how, err := endingOf("", options)
	if err != nil {
		return nil, err
	}
	list, unanswered, err := s.list(ctx, listOptions)
	if err != nil {
		return nil, err
	}
	if extra := len(list.Items) / perChange; extra > 0 && !how.dryRun {
		if wait := s.changes.TakeMore(userOf(ctx), extra); wait > 0 {
			return nil, throttle.Error(wait)
		}
	}
	ended, silent, err := s.endAll(ctx, list.Items, how)
	if err != nil {
		return nil, err
	}
	if missing := append(names(unanswered), names(silent)...); len(missing) > 0 {
		slices.Sort(missing)
		return nil, unavailable("", fmt.Sprintf("%d connections are closing, but these pods did not answer: %s",
			len(ended), strings.Join(slices.Compact(missing), ", ")))
	}
	list.Items = ended
	return list, nil
}

// endAll ends the connections and returns those that are closing, in the order in
// which they were given, and the pods that did not answer. Those that have gone
// by themselves are in neither.
func (s *Storage) endAll(ctx context.Context, items []connectionsv1alpha1.WebSocketConnection, how ending) (ended []connectionsv1alpha1.WebSocketConnection, unanswered []*fleet.Unanswered, err error) {
	results := make([]endResult, len(items))
	var working sync.WaitGroup
	next := make(chan int)
	for range min(maxEnding, len(items)) {
		working.Go(func() {
			for i := range next {
				results[i] = s.endOne(ctx, &items[i], how)
			}
		})
	}
	for i := range items {
		next <- i
	}
	close(next)
	working.Wait()
	for _, r := range results {
		var silent *fleet.Unanswered
		switch {
		case r.object != nil:
			ended = append(ended, *r.object)
		case errors.As(r.err, &silent):
			unanswered = append(unanswered, silent)
		case r.err != nil:
			err = r.err
		}
	}
	return ended, unanswered, err
}

// endResult has the object, or an error, or nothing where the connection has
// ended by itself.
type endResult struct {
	object *connectionsv1alpha1.WebSocketConnection
	err    error
}

func (s *Storage) endOne(ctx context.Context, item *connectionsv1alpha1.WebSocketConnection, how ending) endResult {
	entry, err := s.end(ctx, item.Namespace, item.Name, how)
	var silent *fleet.Unanswered
	switch {
	case err == nil:
		return endResult{object: objectOf(entry)}
	case isClosing(err):
		return endResult{object: item}
	case errors.Is(err, fleet.ErrUnknown):
		return endResult{}
	case ctx.Err() == nil && errors.As(err, &silent):
		return endResult{err: silent}
	default:
		return endResult{err: apiError(ctx, item.Name, err)}
	}
}
