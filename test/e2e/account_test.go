// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// The roles that are shipped.
const (
	viewerRole    = "wsproxy-connections-viewer"
	operatorRole  = "wsproxy-connections-operator"
	messengerRole = "wsproxy-connections-messenger"
)

// account is somebody with a token, and what they may use it with.
type account struct {
	url        string
	client     *http.Client
	kubeconfig string
}

// account makes a ServiceAccount with the rights of a ClusterRole in the room; of
// none where that is empty.
func (r *room) account(name, role string) *account {
	r.t.Helper()
	made := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name}}
	if err := r.Create(r.t.Context(), made); err != nil {
		r.t.Fatal(err)
	}
	a := newAccount(r.t, r.token(name))
	if role == "" {
		return a
	}
	if err := r.Create(r.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: r.namespace, Name: name}},
	}); err != nil {
		r.t.Fatal(err)
	}
	// The kube-apiserver learns of the binding a moment later.
	eventually(r.t, 30*time.Second, "the rights of "+name, func(ctx context.Context) error {
		reviewed, err := a.ask(ctx, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", fmt.Sprintf(
			`{"kind":"SelfSubjectRulesReview","apiVersion":"authorization.k8s.io/v1","spec":{"namespace":%q}}`, r.namespace))
		if err == nil && !bytes.Contains(reviewed.body, []byte(`"pods"`)) && !bytes.Contains(reviewed.body, []byte(connectionsv1alpha1.ResourceConnections)) {
			err = fmt.Errorf("%s", reviewed.body)
		}
		return err
	})
	return a
}

// token returns a token of a ServiceAccount of the room for those audiences; for
// the kube-apiserver where there is none.
func (r *room) token(name string, audiences ...string) string {
	r.t.Helper()
	of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	if err := r.SubResource("token").Create(r.t.Context(), of, request); err != nil {
		r.t.Fatal(err)
	}
	return request.Status.Token
}

// newAccount is somebody who shows a token to the kube-apiserver; none where that
// is empty.
func newAccount(t *testing.T, token string) *account {
	t.Helper()
	admin, err := config.GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	anybody := rest.AnonymousClientConfig(admin)
	anybody.BearerToken = token
	a := &account{url: admin.Host, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if a.client, err = rest.HTTPClientFor(anybody); err != nil {
		t.Fatal(err)
	}
	file := clientcmdapi.NewConfig()
	file.Clusters["here"] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthority: admin.CAFile, CertificateAuthorityData: admin.CAData}
	file.AuthInfos["me"] = &clientcmdapi.AuthInfo{Token: token}
	file.Contexts["me"] = &clientcmdapi.Context{Cluster: "here", AuthInfo: "me"}
	file.CurrentContext = "me"
	if err := clientcmd.WriteToFile(*file, a.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return a
}

// kubectl runs what the account would type and returns what it prints.
func (a *account) kubectl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return kubectl(t, "", append([]string{"--kubeconfig", a.kubeconfig}, args...)...)
}

// reply is an answer to a request. status is what it says where it is an error that
// an API server explains; what is turned away before that is plain text.
type reply struct {
	code   int
	header http.Header
	body   []byte
	status metav1.Status
}

// ask sends one request, and sends it once: there is no client that tries again.
func (a *account) ask(ctx context.Context, method, path, body string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, err
	}
	got := reply{code: response.StatusCode, header: response.Header, body: raw}
	if got.code >= http.StatusBadRequest {
		_ = json.Unmarshal(raw, &got.status)
	}
	return got, nil
}

// must is ask for those who cannot go on without an answer.
func (a *account) must(t *testing.T, method, path, body string) reply {
	t.Helper()
	got, err := a.ask(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// connection is the object that the answer is.
func (r reply) connection(t *testing.T, code int) *connectionsv1alpha1.WebSocketConnection {
	t.Helper()
	c := &connectionsv1alpha1.WebSocketConnection{}
	if err := json.Unmarshal(r.body, c); err != nil || r.code != code || c.Kind != "WebSocketConnection" {
		t.Fatalf("%d %v, want %d and a connection: %s", r.code, err, code, r.body)
	}
	return c
}

// refuses fails unless the answer is an error with this code and reason that
// names the fields, and says why.
func (r reply) refuses(t *testing.T, code int, reason metav1.StatusReason, says string, fields ...string) {
	t.Helper()
	var named []string
	if r.status.Details != nil {
		for _, cause := range r.status.Details.Causes {
			named = append(named, cause.Field)
		}
	}
	if r.code != code || int(r.status.Code) != code || r.status.Reason != reason || !slices.Equal(named, fields) || !strings.Contains(r.status.Message, says) {
		t.Errorf("%d %s, which names %v, want %d %s, %v and %q: %s", r.code, r.status.Reason, named, code, reason, fields, says, r.body)
	}
}
