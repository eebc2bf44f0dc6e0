// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// strict refuses a disconnect or a message with a field that does not exist, unless
// its sender says otherwise (the query parameter fieldValidation). Kubernetes ignores
// such a field, or warns; but nobody who wrote "reasn" can take the disconnect back.
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if info, ok := request.RequestInfoFrom(r.Context()); ok && r.Method == http.MethodPost &&
			info.APIGroup == connectionsv1alpha1.Group && (info.Subresource == connectionsv1alpha1.SubresourceDisconnect || isSend(info)) {
			if query := r.URL.Query(); !query.Has("fieldValidation") {
				query.Set("fieldValidation", metav1.FieldValidationStrict)
				r = r.Clone(r.Context())
				r.URL.RawQuery = query.Encode()
			}
		}
		next.ServeHTTP(w, r)
	})
}
