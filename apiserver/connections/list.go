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
	for i, e := range page.entries {
		list.Items = append(list.Items, *objectOf(e))
		page.entries[i] = fleet.Entry{} // Not in memory twice.
	}
	return list, nil
}

// page is a part of a list, or all of it.
type page struct {
	entries []fleet.Entry
	// unanswered are the pods that were asked for it, and those of later pages, and did
	// not answer. lacks are these and those of earlier pages.
	unanswered []*fleet.Unanswered
	lacks      lack
	// unsure says why there may be pods that were not asked; nil: there are none.
	unsure error
	// outside is the namespace where that is one of which no pods are known here.
	outside string
	// refused are namespaces whose pods may not be listed.
	refused []string
	// at is the version of the first page.
	at   clock.Stamp
	more bool
}

// meta is the metadata of the list that the page is. It warns of what is missing.
func (p *page) meta(ctx context.Context) (meta connectionsv1alpha1.ConnectionListMeta) {
	meta.ResourceVersion, meta.Continue = p.version(), p.token()
	if p.lacks.count > 0 {
		meta.Annotations = map[string]string{connectionsv1alpha1.AnnotationUnansweredPods: strings.Join(p.lacks.pods, ",")}
		warning.AddWarning(ctx, "", p.lacks.String())
	}
	if p.outside != "" {
		warning.AddWarning(ctx, "", fmt.Sprintf("wsproxy is installed for other namespaces than %q: connections are not seen here", p.outside))
	}
	if len(p.refused) > 0 {
		warning.AddWarning(ctx, "", "connections of these namespaces are not seen, because their pods may not be listed: "+strings.Join(p.refused, ", "))
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
	return p.lacks.mark(position{After: p.entries[len(p.entries)-1].Connection.GetName(), Version: int64(p.at)}).token()
}

// page asks the pods for a page. also, where it is not nil, is of who ends connections:
// it leaves pods out, and nobody watches from the version then.
//
// A list goes on without the pods that are silent from the first page on, for which that
// asks all of them, and its version cannot be watched from. A pod that falls silent later
// is waited for: the version of the first page has been given out.
func (r reader) page(ctx context.Context, options *internalversion.ListOptions, also func(*fleet.Pod) bool) (*page, error) {
	notOlder, err := checkVersion(options)
	if err != nil {
		return nil, err
	}
	chosen := selectionOf(ctx, options)
	chosen.also = also
	query := fleet.Query{Of: r.of, Keep: chosen.keep(), SourceIP: chosen.sourceIP()}
	var first clock.Stamp // The version of the first page, where this is another one.
	var before lack
	if options != nil {
		query.Limit = int(min(max(options.Limit, 0), maxLimit))
		if options.Continue != "" {
			p, err := parseToken(options.Continue)
			if err != nil {
				return nil, err
			}
			first, query.After, before = clock.Stamp(p.Version), p.After, p.lack()
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
	if also == nil { // What is ended is in memory page by page.
		query.Take = taker(ctx, perListed, perText, largeList(notOlder > 0))
	}
	query.Clock, query.Reach = r.fleet.Version(), first == 0 && also == nil && r.of == fleet.Live
	result, err := r.choose(ctx, chosen, query)
	if err != nil {
		return nil, err
	}
	complete := unsure == nil && len(result.Unanswered) == 0 && len(result.Untimely) == 0
	page := &page{
		entries: result.Entries, unanswered: result.Unanswered, lacks: before.with(result.Unanswered),
		unsure: unsure, at: query.Clock, more: result.More,
	}
	if !r.fleet.Covers(chosen.namespace) {
		page.outside = chosen.namespace
	}
	page.refused = r.fleet.Refused(chosen.namespace)
	switch {
	case first == 0 && complete:
		if r.of == fleet.Live { // Others are not watched.
			r.fleet.Complete(page.at)
		}
	case first == 0, first == merge.Unresumable, !complete && (also != nil || r.of != fleet.Live):
		page.at = merge.Unresumable
	case len(result.Unanswered) > 0:
		return nil, unavailable(result.Unanswered[0].Error() + ", though it did when the list began")
	case !complete:
		return nil, errUntimely
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
