// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"slices"
	"testing"

	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func TestOneAnswerForAllNames(t *testing.T) {
	const group = "connections.wsproxy.io"
	for what, c := range map[string]struct {
		about authorizer.AttributesRecord
		// may are the names that are allowed; "": all of them.
		may   []string
		fails bool
		asked []string
		want  authorizer.Decision
	}{
		"who may all is not asked about one": {
			authorizer.AttributesRecord{APIGroup: group, Verb: "create", Subresource: "send", Name: "a", ResourceRequest: true},
			[]string{""}, false, []string{""}, authorizer.DecisionAllow,
		},
		"who may one may not the others": {
			authorizer.AttributesRecord{APIGroup: group, Verb: "get", Name: "b", ResourceRequest: true},
			[]string{"a"}, false, []string{"", "b"}, authorizer.DecisionNoOpinion,
		},
		"who may one": {
			authorizer.AttributesRecord{APIGroup: group, Verb: "get", Name: "a", ResourceRequest: true},
			[]string{"a"}, false, []string{"", "a"}, authorizer.DecisionAllow,
		},
		"an answer that failed is none": {
			authorizer.AttributesRecord{APIGroup: group, Verb: "get", Name: "a", ResourceRequest: true},
			[]string{"", "a"}, true, []string{"", "a"}, authorizer.DecisionAllow,
		},
		"a list has no name": {
			authorizer.AttributesRecord{APIGroup: group, Verb: "list", ResourceRequest: true},
			[]string{""}, false, []string{""}, authorizer.DecisionAllow,
		},
		"what is not a connection is asked as it is": {
			authorizer.AttributesRecord{APIGroup: "apps", Verb: "get", Name: "a", ResourceRequest: true},
			[]string{""}, false, []string{"a"}, authorizer.DecisionNoOpinion,
		},
		"nor a path": {
			authorizer.AttributesRecord{APIGroup: group, Verb: "get", Name: "a", Path: "/metrics"},
			[]string{""}, false, []string{"a"}, authorizer.DecisionNoOpinion,
		},
	} {
		t.Run(what, func(t *testing.T) {
			var asked []string
			decides := authorizer.AuthorizerFunc(func(_ context.Context, about authorizer.Attributes) (authorizer.Decision, string, error) {
				asked = append(asked, about.GetName())
				if about.GetVerb() != c.about.Verb || about.GetSubresource() != c.about.Subresource {
					t.Errorf("asked about another thing: %+v", about)
				}
				if c.fails && about.GetName() == "" {
					return authorizer.DecisionAllow, "", errors.New("no answer")
				}
				if slices.Contains(c.may, about.GetName()) {
					return authorizer.DecisionAllow, "", nil
				}
				return authorizer.DecisionNoOpinion, "", nil
			})
			got, _, err := AllNames(decides).Authorize(t.Context(), c.about)
			if err != nil || got != c.want || !slices.Equal(asked, c.asked) {
				t.Errorf("decides %v (%v) after it asked about %q, want %v after %q", got, err, asked, c.want, c.asked)
			}
		})
	}
}
