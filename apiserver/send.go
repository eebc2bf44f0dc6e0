// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// What is particular to messages to clients: what they carry is nobody's business.

// isSend reports whether a request is a message to a client.
func isSend(info *request.RequestInfo) bool {
	return info.APIGroup == connectionsv1alpha1.Group && info.Subresource == connectionsv1alpha1.SubresourceSend
}

// maxSendBody is the largest body of a message in bytes: the largest text, every
// byte of it escaped as \u0000, and the other fields.
const maxSendBody = 6*connectionsv1alpha1.MaxMessageBytes + 8<<10

// bounded refuses a message whose body is too large, and one that is no JSON.
// Kubernetes reads bodies of 3 MiB; puts the beginning of one that it cannot read
// into its answer, and so into audit logs; and replaces what is not UTF-8 without a
// word.
func bounded(next http.Handler, c *genericapiserver.Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := request.RequestInfoFrom(r.Context())
		if !ok || !isSend(info) || r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		body, err := sendBody(w, r)
		if err != nil {
			responsewriters.ErrorNegotiated(err, c.Serializer, connectionsv1alpha1.GroupVersion, w, r)
			return
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// sendBody reads the body of a message. The error is an answer.
func sendBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Header.Get("Content-Type") != "" && (err != nil || kind != runtime.ContentTypeJSON) {
		return nil, &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
			Message: "a message is sent as " + runtime.ContentTypeJSON,
		}}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSendBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, apierrors.NewRequestEntityTooLargeError("the body is larger than any message may be")
	}
	switch {
	case err != nil:
		return nil, apierrors.NewBadRequest("the body did not come whole")
	case !utf8.Valid(body) || !json.Valid(body):
		return nil, apierrors.NewBadRequest("the body is no JSON")
	}
	return body, nil
}

// discreet audits of a message who sent it to whom, and never what it says, whatever
// the policy.
func discreet(policy audit.PolicyRuleEvaluator) audit.PolicyRuleEvaluator {
	if policy == nil {
		return nil
	}
	return discretion{policy}
}

type discretion struct{ audit.PolicyRuleEvaluator }

// EvaluatePolicyRule implements audit.PolicyRuleEvaluator.
func (d discretion) EvaluatePolicyRule(a authorizer.Attributes) audit.RequestAuditConfig {
	is := d.PolicyRuleEvaluator.EvaluatePolicyRule(a)
	if a.GetAPIGroup() == connectionsv1alpha1.Group && a.GetSubresource() == connectionsv1alpha1.SubresourceSend && auditinternal.LevelMetadata.Less(is.Level) {
		is.Level = auditinternal.LevelMetadata
	}
	return is
}
