// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/wsproxy/wsproxy/apiserver/connections"
)

// controllerManager is who the garbage collector asks as, with or without an account
// for each controller: its metadata informers are shared.
const controllerManager = "system:kube-controller-manager"

// sparing shows no connections to the garbage collector of kube-controller-manager,
// which lists and watches everything that can be deleted, in all namespaces, and keeps
// a node in its graph for each object. Connections own nothing and nothing owns them,
// so it would do nothing with them. Whoever else looks through the same account, such
// as the namespace controller, asks for one namespace.
func sparing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := request.RequestInfoFrom(r.Context())
		user, named := request.UserFrom(r.Context())
		if ok && named && user.GetName() == controllerManager && info.Namespace == "" && (info.Verb == "list" || info.Verb == "watch") &&
			strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
			r = r.WithContext(connections.WithoutPods(r.Context()))
		}
		next.ServeHTTP(w, r)
	})
}
