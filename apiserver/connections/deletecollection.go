// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

const (
	// perChange connections that are ended together count as one change: ending
	// them one by one would cost this server about as many times as much.
	perChange = 100
	// maxEnding connections are ended at a time: of one pod, because they are in the
	// order of their names, so others must be able to ask that pod as well.
	maxEnding = 8
	// endPage connections are in memory before they are ended.
	endPage = 500
	// maxEnded connections are in the answer; it counts the others.
	maxEnded = 10_000
)

// DeleteCollection implements rest.CollectionDeleter, page by page. The answer
// lists what is closing. When a pod did not answer, that is an error, after
// everything else was ended: whoever asked must not believe that all is gone.
func (s *Storage) DeleteCollection(ctx context.Context, _ rest.ValidateObjectFunc, options *metav1.DeleteOptions, listOptions *internalversion.ListOptions) (runtime.Object, error) {
	how, err := endingOf("", options)
	if err != nil {
		return nil, err
	}
	wanted := pagesOf(listOptions)
	c := &collection{storage: s, how: how, silent: map[string]bool{}, answer: &connectionsv1alpha1.WebSocketConnectionList{Items: []connectionsv1alpha1.WebSocketConnection{}}}
	for {
		page, err := s.page(ctx, wanted.options, c.answers)
		if err != nil {
			return nil, err
		}
		if page.unsure != nil {
			c.unsure = page.unsure
		}
		if err := c.end(ctx, page); err != nil {
			return nil, err
		}
		if !wanted.next(page) {
			return c.result(page)
		}
	}
}

// pages are what a collection is made of.
type pages struct {
	options *internalversion.ListOptions
	// left is what the limit of whoever asked leaves; negative: there is none.
	left int64
}

func pagesOf(options *internalversion.ListOptions) *pages {
	p := &pages{options: &internalversion.ListOptions{}, left: -1}
	if options != nil {
		p.options = options.DeepCopy()
		if options.Limit > 0 {
			p.left = options.Limit
		}
	}
	p.options.Limit = endPage
	if p.left > 0 {
		p.options.Limit = min(p.left, endPage)
	}
	return p
}

// next goes on after a page and reports false where that was the last one.
func (p *pages) next(page *page) bool {
	if p.left > 0 {
		p.left -= int64(len(page.entries))
		p.options.Limit = min(p.left, endPage)
	}
	p.options.Continue = page.token()
	return p.options.Continue != "" && p.left != 0
}

// collection is how far it has come.
type collection struct {
	storage *Storage
	how     ending
	answer  *connectionsv1alpha1.WebSocketConnectionList
	// closing is how many connections are, those that are not in the answer too.
	closing, charged int
	// unsure says why there may be pods that were not asked.
	unsure error

	mu sync.Mutex
	// silent, guarded by mu, are the pods that did not answer. They are not asked
	// for the rest: each call would take as long as the first.
	silent map[string]bool
}

func (c *collection) answers(p *fleet.Pod) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.silent[p.String()]
}

func (c *collection) lacks(missing *fleet.Unanswered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent[missing.Pod.String()] = true
}

// end ends the connections of a page.
func (c *collection) end(ctx context.Context, page *page) error {
	for _, missing := range page.unanswered {
		c.lacks(missing)
	}
	c.charge(ctx, page.entries)
	objects := make([]*connectionsv1alpha1.WebSocketConnection, len(page.entries))
	failures := make([]error, len(page.entries))
	next := make(chan int)
	var working sync.WaitGroup
	for range min(maxEnding, len(page.entries)) {
		working.Go(func() {
			for i := range next {
				if c.answers(page.entries[i].Pod) {
					objects[i], failures[i] = c.endOne(ctx, page.entries[i])
				}
			}
		})
	}
	for i := range page.entries {
		next <- i
	}
	close(next)
	working.Wait()
	for i, object := range objects {
		if failures[i] != nil {
			return failures[i]
		}
		if object == nil {
			continue
		}
		if c.closing++; len(c.answer.Items) < maxEnded {
			c.answer.Items = append(c.answer.Items, *object)
		}
	}
	return nil
}

// charge makes the request count as many changes as it is, but never as more than
// can be saved up. They are taken whether they are there or not, and what comes
// next waits: a request that was turned back here could never be made.
func (c *collection) charge(ctx context.Context, entries []fleet.Entry) {
	if c.how.dryRun {
		return
	}
	before := c.charged
	for _, e := range entries {
		if e.Connection.GetPhase() != dataplanev1alpha1.Phase_PHASE_CLOSING {
			c.charged++
		}
	}
	c.storage.changes.Charge(userOf(ctx), before/perChange, c.charged/perChange)
}

// endOne returns nothing where the connection has ended by itself, or the pod did
// not answer.
func (c *collection) endOne(ctx context.Context, e fleet.Entry) (*connectionsv1alpha1.WebSocketConnection, error) {
	name := e.Connection.GetName()
	now, err := c.storage.end(ctx, e.Pod.Namespace, name, c.how)
	var missing *fleet.Unanswered
	switch {
	case err == nil:
		return objectOf(now), nil
	case isClosing(err):
		return objectOf(e), nil
	case errors.Is(err, fleet.ErrUnknown):
		return nil, nil
	case ctx.Err() == nil && errors.As(err, &missing):
		c.lacks(missing)
		return nil, nil
	default:
		return nil, apiError(ctx, name, err)
	}
}

// result is the answer after the last page.
func (c *collection) result(last *page) (runtime.Object, error) {
	if len(c.silent) > 0 {
		missing := slices.Sorted(maps.Keys(c.silent))
		return nil, unavailable(fmt.Sprintf("%d connections are closing, but %d data-plane pods did not answer: %s", c.closing, len(missing), few(missing, len(missing))))
	}
	if c.unsure != nil {
		return nil, unavailable(fmt.Sprintf("%d connections are closing, but there may be more of new data-plane pods: %v", c.closing, c.unsure))
	}
	c.answer.ResourceVersion = last.version()
	if more := c.closing - len(c.answer.Items); more > 0 {
		c.answer.RemainingItemCount = new(int64(more))
	}
	return c.answer, nil
}
