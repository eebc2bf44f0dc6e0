// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"slices"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// Audience is what a bearer token that is shown to this server itself, not to the
// kube-apiserver in front of it, must be meant for. So nobody who gets hold of
// one can use it for anything else.
const Audience = connectionsv1alpha1.Group

// HealthPaths may be asked for by anybody: the kubelet has no name.
var HealthPaths = []string{"/healthz", "/livez", "/readyz"}

// Named lets those without a name in to HealthPaths only: anywhere else they are
// told with 401 that they need one.
func Named(next authenticator.Request) authenticator.Request {
	return authenticator.RequestFunc(func(request *http.Request) (*authenticator.Response, bool, error) {
		response, ok, err := next.AuthenticateRequest(request)
		if ok && response.User.GetName() == user.Anonymous && !slices.Contains(HealthPaths, request.URL.Path) {
			return nil, false, nil
		}
		return response, ok, err
	})
}
