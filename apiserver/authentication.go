// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net/http"
	"slices"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/server/options"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// Audience is what a bearer token that is shown to this server itself, not to the
// kube-apiserver in front of it, must be meant for. So nobody who gets hold of
// one can use it for anything else.
const Audience = connectionsv1alpha1.Group

// HealthPaths may be asked for by anybody: the kubelet has no name.
var HealthPaths = []string{"/healthz", "/livez", "/readyz"}

// Authentication returns an authenticator that takes bearer tokens for Audience,
// and leaves everything else to delegated: the headers of the kube-apiserver and
// client certificates. Who has no name is let in to HealthPaths only, and is
// told so with 401.
func Authentication(client authenticationclient.AuthenticationV1Interface, o *options.DelegatingAuthenticationOptions, delegated authenticator.Request) (authenticator.Request, error) {
	tokens, _, err := authenticatorfactory.DelegatingAuthenticatorConfig{
		TokenAccessReviewClient:  client,
		TokenAccessReviewTimeout: o.TokenRequestTimeout,
		WebhookRetryBackoff:      o.WebhookRetryBackoff,
		CacheTTL:                 o.CacheTTL,
		APIAudiences:             authenticator.Audiences{Audience},
	}.New()
	if err != nil {
		return nil, fmt.Errorf("authentication by token: %w", err)
	}
	return union.NewFailOnError(tokens, named(delegated)), nil
}

// named refuses those without a name everywhere but at HealthPaths.
func named(next authenticator.Request) authenticator.Request {
	return authenticator.RequestFunc(func(request *http.Request) (*authenticator.Response, bool, error) {
		response, ok, err := next.AuthenticateRequest(request)
		if ok && response.User.GetName() == user.Anonymous && !slices.Contains(HealthPaths, request.URL.Path) {
			return nil, false, nil
		}
		return response, ok, err
	})
}
