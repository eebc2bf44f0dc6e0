// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// onePod is a proxy for tests in which it does not matter how many there are.
func onePod(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Replicas = new(int32(1)) }

func TestOnlyWhoHasTheRightsSeesAndEndsConnections(t *testing.T) {
	r := newRoom(t, "e2e-rights", 1)
	clients := r.talk(r.proxy("echo", onePod), 5)
	names := held(t, clients)
	nobody, reader := r.account("nobody", ""), r.account("reader", "view")
	viewer, operator := r.account("viewer", viewerRole), r.account("operator", operatorRole)

	all, one := connectionPath(r.namespace), connectionPath(r.namespace, names[0])
	for _, request := range []struct {
		verb, method, path, body string
		viewer, operator         int
	}{
		{"list", http.MethodGet, all, "", 200, 200},
		{"get", http.MethodGet, one, "", 200, 200},
		{"get status", http.MethodGet, one + "/status", "", 200, 200},
		{"delete", http.MethodDelete, one, "", 403, 200},
		{"deletecollection", http.MethodDelete, all + "?fieldSelector=metadata.name%3D" + names[1], "", 403, 200},
		{"disconnect", http.MethodPost, connectionPath(r.namespace, names[2], "disconnect"), `{"code":4002}`, 403, 201},
		{"list elsewhere", http.MethodGet, connectionPath("default"), "", 403, 403},
		{"list everywhere", http.MethodGet, "/apis/connections.wsproxy.io/v1alpha1/websocketconnections", "", 403, 403},
		{"delete elsewhere", http.MethodDelete, connectionPath("default", names[0]), "", 403, 403},
	} {
		t.Run(request.verb, func(t *testing.T) {
			for _, who := range []struct {
				name string
				*account
				code int
			}{
				{"who has no role", nobody, 403},
				{"who has the built-in role view", reader, 403},
				{"who has the role for viewers", viewer, request.viewer},
				// Last, because this ends something.
				{"who has the role for operators", operator, request.operator},
			} {
				got := who.must(t, request.method, request.path, request.body)
				if got.code != who.code {
					t.Errorf("%s gets %d, want %d: %s", who.name, got.code, who.code, got.body)
				} else if got.code == http.StatusForbidden {
					got.refuses(t, http.StatusForbidden, metav1.StatusReasonForbidden, "cannot ")
				}
			}
		})
	}
	r.ends(clients, endings{names[0]: byAdministrator, names[1]: byAdministrator, names[2]: {4002, byAdministrator.reason}})

	t.Run("and kubectl says so", func(t *testing.T) {
		const forbidden = "Error from server (Forbidden): websocketconnections.connections.wsproxy.io"
		out, err := nobody.kubectl(t, "-n", r.namespace, "get", "wsc")
		if err == nil || !strings.HasPrefix(out, forbidden+` is forbidden: User "system:serviceaccount:e2e-rights:nobody" cannot list resource "websocketconnections"`) {
			t.Errorf("to who has no role: %v: %s", err, out)
		}
		if out, err := viewer.kubectl(t, "-n", r.namespace, "get", "wsc", names[3]); err != nil || !strings.Contains(out, names[3]) {
			t.Errorf("to a viewer who gets: %v: %s", err, out)
		}
		if out, err := viewer.kubectl(t, "-n", r.namespace, "delete", "wsc", names[3]); err == nil || !strings.HasPrefix(out, forbidden) || !strings.Contains(out, "cannot delete") {
			t.Errorf("to a viewer who deletes: %v: %s", err, out)
		}
		if out, err := operator.kubectl(t, "-n", r.namespace, "delete", "wsc", names[3]); err != nil || !strings.Contains(out, "deleted") {
			t.Errorf("to an operator who deletes: %v: %s", err, out)
		}
	})
	r.ends(clients, endings{names[0]: byAdministrator, names[1]: byAdministrator, names[2]: {4002, byAdministrator.reason}, names[3]: byAdministrator})
}

func TestWithoutAValidTokenNothingIsSaid(t *testing.T) {
	r := newRoom(t, "e2e-tokens", 1)
	clients := r.talk(r.proxy("echo", onePod), 3)
	names := held(t, clients)
	_, operator := r.account("nobody", ""), r.account("operator", operatorRole)
	all, disconnect := connectionPath(r.namespace), connectionPath(r.namespace, names[0], "disconnect")
	operator.must(t, http.MethodGet, connectionPath(r.namespace, names[0]), "").connection(t, http.StatusOK)

	t.Run("by the kube-apiserver", func(t *testing.T) {
		forged := newAccount(t, "x.y.z")
		forged.must(t, http.MethodGet, all, "").refuses(t, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
		forged.must(t, http.MethodPost, disconnect, "{}").refuses(t, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
		out, err := forged.kubectl(t, "-n", r.namespace, "get", "wsc")
		if err == nil || !strings.Contains(out, "You must be logged in to the server") {
			t.Errorf("kubectl with a token that is none: %v: %s", err, out)
		}
		t.Logf("kubectl with a token that is none: %s", out)
		// Who shows none is system:anonymous to a kube-apiserver that allows that, as
		// it does by default.
		anonymous := newAccount(t, "")
		for _, got := range []reply{anonymous.must(t, http.MethodGet, all, ""), anonymous.must(t, http.MethodPost, disconnect, "{}")} {
			if got.code != http.StatusUnauthorized && (got.code != http.StatusForbidden || !strings.Contains(got.status.Message, `User "system:anonymous" cannot`)) {
				t.Errorf("without a token: %s", got.body)
			}
		}
	})
	t.Run("by the aggregated API server itself", func(t *testing.T) {
		r := r.in(t)
		audience := "connections.wsproxy.io"
		for _, who := range []struct {
			name, method, path, token string
			code                      int
		}{
			{"nobody", http.MethodGet, all, "", 401},
			{"nobody, who disconnects", http.MethodPost, disconnect, "", 401},
			{"nobody, who looks what there is", http.MethodGet, "/apis", "", 401},
			{"a token that is none", http.MethodGet, all, "x.y.z", 401},
			{"a token for the kube-apiserver", http.MethodGet, all, r.token("operator"), 401},
			{"a token without rights", http.MethodGet, all, r.token("nobody", audience), 403},
			{"a token without rights, who disconnects", http.MethodPost, disconnect, r.token("nobody", audience), 403},
			{"a token with rights", http.MethodGet, all, r.token("operator", audience), 200},
			{"a token with rights, who disconnects", http.MethodPost, disconnect, r.token("operator", audience), 201},
		} {
			body := ""
			if who.method == http.MethodPost {
				body = "{}"
			}
			if got := r.directly(who.token).must(t, who.method, who.path, body); got.code != who.code {
				t.Errorf("%s: %d, want %d: %s", who.name, got.code, who.code, got.body)
			}
		}
	})
	r.ends(clients, endings{names[0]: byAdministrator})
}

// directly is who shows a token to the Service of the aggregated API server, whose
// certificate they check as the kube-apiserver does.
func (r *room) directly(token string) *account {
	r.t.Helper()
	service := &corev1.Service{}
	if err := r.Get(r.t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: "wsproxy-apiserver"}, service); err != nil {
		r.t.Fatal(err)
	}
	bundle, err := base64.StdEncoding.DecodeString(mustKubectl(r.t, "", "get", "apiservice", "v1alpha1.connections.wsproxy.io", "-o", "jsonpath={.spec.caBundle}"))
	if err != nil {
		r.t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(bundle) {
		r.t.Fatalf("spec.caBundle of the APIService has no certificate: %q", bundle)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: service.Name + "." + service.Namespace + ".svc"}}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &account{url: "https://" + service.Spec.ClusterIP, client: &http.Client{Transport: bearer{token, transport}}}
}

// bearer shows a token, if it is not empty.
type bearer struct {
	token string
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	if b.token != "" {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(request)
}
