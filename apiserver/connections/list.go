// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
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
	list := &connectionsv1alpha1.WebSocketConnectionList{Items: make([]connectionsv1alpha1.WebSocketConnection, 0, len(page.entries))}
	for _, e := range page.entries {
		list.Items = append(list.Items, *objectOf(e))
	}
	list.ResourceVersion, list.Continue = page.version(), page.token()
	if missing := names(page.unanswered); len(missing) > 0 {
		list.Annotations = map[string]string{connectionsv1alpha1.AnnotationUnansweredPods: strings.Join(missing, ",")}
		warning.AddWarning(ctx, "", incomplete(missing))
	}
	if page.unsure != nil {
		warning.AddWarning(ctx, "", "connections of new data-plane pods may be missing: "+page.unsure.Error())
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
	// at is when the first page was made.
	at   int64
	more bool
}

// version is the same for all pages. Nothing can be resumed from it; it says when
// the list was made.
func (p *page) version() string { return strconv.FormatInt(p.at, 10) }

// token leads to the next page; it is empty where there is none.
func (p *page) token() string {
	if !p.more {
		return ""
	}
	return position{After: p.entries[len(p.entries)-1].Connection.GetName(), Version: p.at}.token()
}

// page asks the pods for a page; also, where it is not nil, leaves some out.
func (s *Storage) page(ctx context.Context, options *internalversion.ListOptions, also func(*fleet.Pod) bool) (*page, error) {
	if err := checkVersion(options); err != nil {
		return nil, err
	}
	chosen := selectionOf(request.NamespaceValue(ctx), options)
	chosen.also = also
	from := position{Version: s.now().UnixMicro()}
	query := fleet.Query{Keep: chosen.keep()}
	if options != nil {
		query.Limit = int(min(max(options.Limit, 0), maxLimit))
		if options.Continue != "" {
			p, err := parseToken(options.Continue)
			if err != nil {
				return nil, err
			}
			from, query.After = p, p.After
		}
	}
	var unsure error
	if _, only := chosen.name(); !only && query.After == "" {
		unsure = s.fleet.Confirm(ctx, chosen.namespace)
	}
	result, err := s.choose(ctx, chosen, query)
	if err != nil {
		return nil, err
	}
	return &page{entries: result.Entries, unanswered: result.Unanswered, unsure: unsure, at: from.Version, more: result.More}, nil
}

// choose asks the pods that can have what is wanted.
func (s *Storage) choose(ctx context.Context, chosen selection, query fleet.Query) (fleet.Result, error) {
	if name, only := chosen.name(); only {
		return s.selectOne(ctx, chosen, query, name)
	}
	query.Pods = chosen.pod
	result, err := s.fleet.List(ctx, query)
	if err != nil {
		return fleet.Result{}, apiError(ctx, "", err)
	}
	return result, nil
}

// selectOne is a list of at most one, by its name. Its owner is found as for a
// get. When it does not answer, an empty list, even with a warning, would look
// like the end of the connection to those who wait for that.
func (s *Storage) selectOne(ctx context.Context, chosen selection, query fleet.Query, name string) (fleet.Result, error) {
	if name <= query.After {
		return fleet.Result{}, nil
	}
	entry, err := s.fleet.Get(ctx, chosen.namespace, name)
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		return fleet.Result{}, nil
	case err != nil:
		return fleet.Result{}, apiError(ctx, name, err)
	case !chosen.pod(entry.Pod) || query.Keep != nil && !query.Keep(entry):
		return fleet.Result{}, nil
	}
	return fleet.Result{Entries: []fleet.Entry{entry}}, nil
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
