// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// AllNames asks first whether a user may do what they want with every connection of a
// namespace, which is what a SubjectAccessReview without a name means, and only where
// not, whether they may with this one. The answers are remembered, and names are of use
// for a single connection: a backend that sends to each of its clients would otherwise
// cost the kube-apiserver a question for each of them.
func AllNames(next authorizer.Authorizer) authorizer.Authorizer { return allNames{next} }

type allNames struct{ authorizer.Authorizer }

// Authorize implements authorizer.Authorizer.
func (a allNames) Authorize(ctx context.Context, about authorizer.Attributes) (authorizer.Decision, string, error) {
	if about.IsResourceRequest() && about.GetAPIGroup() == connectionsv1alpha1.Group && about.GetName() != "" {
		decision, reason, err := a.Authorizer.Authorize(ctx, withoutName{about})
		if decision == authorizer.DecisionAllow && err == nil {
			return decision, reason, nil
		}
	}
	return a.Authorizer.Authorize(ctx, about)
}

type withoutName struct{ authorizer.Attributes }

// GetName implements authorizer.Attributes.
func (withoutName) GetName() string { return "" }
