// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/warning"

	"github.com/wsproxy/wsproxy/api/clock"
	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/apiserver/merge"
)

const (
	// maxLimit bounds a page: no client asks for more at a time.
	maxLimit = 1_000_000
	// maxNamed pods are named in a warning, which is a header; the annotation
	// names them all.
	maxNamed = 5
)

// List implements rest.Lister. It never hides that a pod did not answer.
func (s *Storage) List(ctx context.Context, options *internalversion.ListOptions) (runtime.Object, error) {
	page, err := s.page(ctx, options, nil)
	if err != nil {
		return nil, err
	}
	list := &connectionsv1alpha1.WebSocketConnectionList{
		ConnectionListMeta: page.meta(ctx), Items: make([]connectionsv1alpha1.WebSocketConnection, 0, len(page.entries)),
	}
	for _, e := range page.entries {
		list.Items = append(list.Items, *objectOf(e))
	}
	return list, nil
}

// page is a part of a list, or all of it.
type page struct {
	entries []fleet.Entry
	// unanswered are the pods whose connections are missing.
	unanswered []*fleet.Unanswered
	// unsure says why there may be pods that were not asked; nil: there are none.
	unsure error
	// at is the version of the first page.
	at   clock.Stamp
	more bool
}

// meta is the metadata of the list that the page is. It warns of what is missing.
func (p *page) meta(ctx context.Context) (meta connectionsv1alpha1.ConnectionListMeta) {
	meta.ResourceVersion, meta.Continue = p.version(), p.token()
	if missing := names(p.unanswered); len(missing) > 0 {
		meta.Annotations = map[string]string{connectionsv1alpha1.AnnotationUnansweredPods: strings.Join(missing, ",")}
		warning.AddWarning(ctx, "", incomplete(missing))
	}
	if p.unsure != nil {
		warning.AddWarning(ctx, "", "connections of new data-plane pods may be missing: "+p.unsure.Error())
	}
	return meta
}

// version is the same for all pages. A watch can be resumed from it where nothing is
// missing.
func (p *page) version() string { return textOf(p.at) }

// token leads to the next page; it is empty where there is none.
func (p *page) token() string {
	if !p.more {
		return ""
	}
	return position{After: p.entries[len(p.entries)-1].Connection.GetName(), Version: int64(p.at)}.token()
}

// page asks the pods for a page; also, where it is not nil, leaves some out.
func (r reader) page(ctx context.Context, options *internalversion.ListOptions, also func(*fleet.Pod) bool) (*page, error) {
	notOlder, err := checkVersion(options)
	if err != nil {
		return nil, err
	}
	chosen := selectionOf(ctx, options)
	chosen.also = also
	query := fleet.Query{Of: r.of, Keep: chosen.keep()}
	var first clock.Stamp // The version of the first page, where this is another one.
	if options != nil {
		query.Limit = int(min(max(options.Limit, 0), maxLimit))
		if options.Continue != "" {
			p, err := parseToken(options.Continue)
			if err != nil {
				return nil, err
			}
			first, query.After = clock.Stamp(p.Version), p.After
		}
	}
	// What comes from clients moves no clock of a pod: ours is waited for.
	if err := r.fleet.WaitFor(ctx, max(notOlder, first)); err != nil {
		return nil, r.apiError(ctx, "", err)
	}
	var unsure error
	if _, only := chosen.name(); !only && query.After == "" {
		unsure = r.fleet.Confirm(ctx, chosen.namespace)
	}
	query.Clock = r.fleet.Version()
	result, err := r.choose(ctx, chosen, query)
	if err != nil {
		return nil, err
	}
	complete := unsure == nil && len(result.Unanswered) == 0 && len(result.Untimely) == 0
	page := &page{entries: result.Entries, unanswered: result.Unanswered, unsure: unsure, at: query.Clock, more: result.More}
	switch {
	case first == 0 && complete:
		if r.of == fleet.Live { // Others are not watched.
			r.fleet.Complete(page.at)
		}
	case first == 0:
		page.at = merge.Unresumable
	case first != merge.Unresumable && !complete:
		return nil, errPartial
	default:
		page.at = first
	}
	return page, nil
}

// choose asks the pods that can have what is wanted.
func (r reader) choose(ctx context.Context, chosen selection, query fleet.Query) (fleet.Result, error) {
	if name, only := chosen.name(); only {
		return r.selectOne(ctx, chosen, query, name)
	}
	query.Pods = chosen.pod
	result, err := r.fleet.List(ctx, query)
	if err != nil {
		return fleet.Result{}, r.apiError(ctx, "", err)
	}
	return result, nil
}

// selectOne is a list of at most one, by its name. Its owner is found as for a
// get. When it does not answer, an empty list, even with a warning, would look
// like the end of the connection to those who wait for that.
func (r reader) selectOne(ctx context.Context, chosen selection, query fleet.Query, name string) (fleet.Result, error) {
	if name <= query.After {
		return fleet.Result{}, nil
	}
	entry, timely, err := r.fleet.Find(ctx, r.of, chosen.namespace, name, query.Clock)
	var result fleet.Result
	if !timely {
		result.Untimely = []*fleet.Pod{entry.Pod}
	}
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		return result, nil
	case err != nil:
		return fleet.Result{}, r.apiError(ctx, name, err)
	case chosen.pod(entry.Pod) && (query.Keep == nil || query.Keep(entry)):
		result.Entries = []fleet.Entry{entry}
	}
	return result, nil
}

func names(unanswered []*fleet.Unanswered) []string {
	all := make([]string, 0, len(unanswered))
	for _, u := range unanswered {
		all = append(all, u.Pod.String())
	}
	return all
}

// incomplete says which pods are missing, in one line.
func incomplete(missing []string) string {
	if len(missing) == 1 {
		return "1 data-plane pod did not answer, its connections are missing: " + missing[0]
	}
	return fmt.Sprintf("%d data-plane pods did not answer, their connections are missing: %s", len(missing), few(missing))
}

// few names as many as can be read.
func few(pods []string) string {
	if more := len(pods) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(pods[:maxNamed], ", "), more)
	}
	return strings.Join(pods, ", ")
}
