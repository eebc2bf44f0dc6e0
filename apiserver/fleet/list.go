// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

const (
	// maxAsked pods are asked at a time, not counting the slow ones.
	maxAsked = 64
	// maxUnneeded connections, or little more, are asked for beside those that a page has.
	maxUnneeded = 20_000
	// hedge is how long an answer is waited for before another pod is asked in its
	// place. So pods that are silent, however many, do not keep the others from
	// being asked.
	hedge = 50 * time.Millisecond
	// patience is how many timeouts of a pod a whole list may take, however a pod
	// goes on and on.
	patience = 3
	// maxEntries connections with maxTexts bytes of text are taken of one pod for one
	// list: about 200 MiB until it is sent. Pages stay far below.
	maxEntries = 100_000
	maxTexts   = 64 << 20
)

var errTooMany = fmt.Errorf("more than %d connections or %d bytes of text", maxEntries, maxTexts)

// Query is what a list asks for.
type Query struct {
	Of Of
	// Pods chooses the ones to ask; nil: all.
	Pods func(*Pod) bool
	// After: only connections with names greater than this one; empty: from the
	// first.
	After string
	// Limit: at most this many; 0: all.
	Limit int
	// Keep chooses connections; nil: all. It is called by many goroutines.
	Keep func(Entry) bool
	// SourceIP: pods are asked for connections of this client only; empty: of all. Keep
	// must say so as well, because some do not know what that means.
	SourceIP string
	// Take, where it is not nil, is told of each connection that is kept until the answer
	// is written how many bytes of text it has. Its error ends the list. It is called by
	// many goroutines.
	Take func(texts int) error
	// Clock is a Version: every change up to it is in the list.
	Clock clock.Stamp
	// Reach: the pods of which the limit leaves nothing are asked whether they answer,
	// so that Unanswered and Untimely are those of all pages.
	Reach bool
}

// take asks Take, whose error is a *fullError.
func (q *Query) take(texts int) error {
	if q.Take == nil {
		return nil
	}
	if err := q.Take(texts); err != nil {
		return &fullError{err}
	}
	return nil
}

// fullError is why no more is kept, which no pod is to blame for.
type fullError struct{ why error }

// Error implements error.
func (e *fullError) Error() string { return e.why.Error() }

// Result is what the pods answered.
type Result struct {
	// Entries are in the order of their names.
	Entries []Entry
	// More says that the limit left something out.
	More bool
	// Unanswered are the pods, among those that were to answer, whose connections
	// are missing or not complete.
	Unanswered []*Unanswered
	// Untimely are the pods that answered and whose clocks are wrong, or have none: what
	// they answered may not be that of Clock.
	Untimely []*Pod
}

// answer is what one pod said.
type answer struct {
	entries []Entry
	// untimely is the pod, if its clock is wrong.
	untimely *Pod
	err      error
	began    time.Time
	settled  bool
}

// List asks the pods. Where there is a limit, it begins with the first one and
// asks more at a time when those do not fill the page or take long: a page of
// large pods asks one or two of them. The error says that ctx ended, or that the
// pods are not known, or it is that of Take.
func (f *Fleet) List(ctx context.Context, q Query) (Result, error) {
	limited, cancel := context.WithTimeout(ctx, patience*f.options.Timeout)
	defer cancel()
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel() // Before it is waited for those that are still asked.

	if q.Pods == nil {
		q.Pods = func(*Pod) bool { return true }
	}
	pods := from(f.Pods(q.Pods), q.After)
	if err := f.Ready(); err != nil {
		return Result{}, err
	}
	answers, err := f.inOrder(limited, &asking, q, pods, q.Limit)
	if err != nil {
		return Result{}, err
	}
	result := mergeAnswers(answers, q.Limit)
	if beyond := pods[len(answers):]; q.Reach && len(beyond) > 0 {
		one := Query{Of: q.Of, Pods: q.Pods, Limit: 1, Clock: q.Clock}
		said, err := f.inOrder(limited, &asking, one, beyond, 0)
		if err != nil {
			return Result{}, err
		}
		others := mergeAnswers(said, one.Limit)
		result.Unanswered = append(result.Unanswered, others.Unanswered...)
		result.Untimely = append(result.Untimely, others.Untimely...)
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	return result, nil
}

// inOrder asks pods until the first of them have more than enough connections, and
// returns what those said. 0 is never enough. Others may still be asked then: ctx ends
// that. The error is that of Take.
func (f *Fleet) inOrder(ctx context.Context, asking *sync.WaitGroup, q Query, pods []*Pod, enough int) ([]answer, error) {
	answers := make([]answer, len(pods))
	answered := make(chan int, len(pods))
	window, most := maxAsked, maxAsked
	if enough > 0 {
		window, most = 1, min(max(maxUnneeded/enough, 1), maxAsked)
	}
	tick := time.NewTicker(hedge)
	defer tick.Stop()

	var begun, settled, have int
	for settled < len(pods) && (enough == 0 || have <= enough) {
		for n := quick(answers[settled:begun]); begun < len(pods) && n < window; n++ {
			i := begun
			begun++
			answers[i].began = time.Now()
			asking.Go(func() {
				answers[i].entries, answers[i].untimely, answers[i].err = f.collect(ctx, q, pods[i])
				answered <- i
			})
		}
		select {
		case i := <-answered:
			answers[i].settled = true
			if full, ok := errors.AsType[*fullError](answers[i].err); ok {
				return nil, full.why
			}
		case <-tick.C:
		}
		window = min(2*window, most)
		for settled < len(pods) && answers[settled].settled {
			have += len(answers[settled].entries)
			settled++
		}
	}
	return answers[:settled], nil
}

// quick counts those that are being asked and have not been for long.
func quick(asked []answer) (n int) {
	for i := range asked {
		if !asked[i].settled && time.Since(asked[i].began) < hedge {
			n++
		}
	}
	return n
}

// from leaves out the pods all of whose names come before the given one.
func from(pods []*Pod, after string) []*Pod {
	for i, p := range pods {
		if after == "" || p.Prefix >= after[:dataplanev1alpha1.PodPrefixLength] {
			return pods[i:]
		}
	}
	return nil
}

// collect asks one pod, and again when it has changed meanwhile. It returns the pod as
// well where its clock is wrong.
func (f *Fleet) collect(ctx context.Context, q Query, pod *Pod) (entries []Entry, untimely *Pod, err error) {
	for {
		about := listing{of: q.Of, sent: q.Clock}
		entries, err := collect(ctx, q, pod, &about)
		if errors.Is(err, errUnfollowed) {
			// It can be listed all the same.
			about.sent = 0
			entries, err = collect(ctx, q, pod, &about)
		}
		switch {
		case errors.Is(err, errRemoved):
			return nil, nil, nil
		case !errors.Is(err, errReplaced):
			if err == nil && (about.sent == 0 || f.hub.check(pod, about.began) != nil) {
				untimely = pod
			}
			return entries, untimely, err
		}
		if pod = f.again(pod); pod == nil || !q.Pods(pod) {
			return nil, nil, nil
		}
	}
}

// collect asks one pod once. It asks for one connection above the limit, which says
// that there is more.
func collect(ctx context.Context, q Query, pod *Pod, about *listing) ([]Entry, error) {
	after := ""
	if len(q.After) >= len(pod.Prefix) && q.After[:len(pod.Prefix)] == pod.Prefix {
		after = q.After
	}
	enough, limit := q.Limit+1, int32(0)
	if q.Limit > 0 && q.Keep == nil {
		limit = int32(enough)
	}
	about.sourceIP = q.SourceIP
	var entries []Entry
	size := 0
	for c, err := range pod.list(ctx, after, limit, about) {
		if err != nil {
			return entries, err
		}
		e := Entry{pod, c}
		if q.Keep == nil || q.Keep(e) {
			text := 0
			for _, t := range texts(c) {
				text += len(t)
			}
			size += text
			if len(entries) == maxEntries || size > maxTexts {
				return entries, pod.unanswered("lists more than is taken at a time, which pages would not", errTooMany)
			}
			if err := q.take(text); err != nil {
				return nil, err
			}
			entries = append(entries, e)
		}
		if q.Limit > 0 && len(entries) == enough {
			break
		}
	}
	return entries, nil
}

func mergeAnswers(answers []answer, limit int) Result {
	var r Result
	for _, a := range answers {
		var missing *Unanswered
		if errors.As(a.err, &missing) {
			r.Unanswered = append(r.Unanswered, missing)
		}
		if a.untimely != nil {
			r.Untimely = append(r.Untimely, a.untimely)
		}
		r.Entries = append(r.Entries, a.entries...)
	}
	if limit > 0 && len(r.Entries) > limit {
		r.Entries, r.More = r.Entries[:limit], true
	}
	return r
}
