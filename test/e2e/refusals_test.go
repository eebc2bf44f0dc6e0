// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

func TestARequestThatCannotBeIsRefusedAndSaysWhatIsWrong(t *testing.T) {
	r := newRoom(t, "e2e-refusals", 1)
	clients := r.talk(r.proxy("echo", onePod), 3)
	name := held(t, clients)[0]
	operator := r.account("operator", operatorRole)

	// A name that the pod has not issued yet, and one of no pod that ever was.
	for _, unknown := range []string{name[:dataplanev1alpha1.PodIDLength] + "-vvvvvvvv", strings.Repeat("0", dataplanev1alpha1.PodIDLength) + "-00000001"} {
		t.Run("the name "+unknown+" is not found", func(t *testing.T) {
			path, says := connectionPath(r.namespace, unknown), `"`+unknown+`" not found`
			for _, got := range []reply{
				operator.must(t, http.MethodGet, path, ""),
				operator.must(t, http.MethodDelete, path, ""),
				operator.must(t, http.MethodPost, path+"/disconnect", "{}"),
			} {
				got.refuses(t, http.StatusNotFound, metav1.StatusReasonNotFound, says)
			}
			if out, err := operator.kubectl(t, "-n", r.namespace, "delete", "wsc", unknown); err == nil || !strings.Contains(out, "Error from server (NotFound)") {
				t.Errorf("kubectl delete: %v: %s", err, out)
			}
		})
	}
	t.Run("a connection is not found in another namespace", func(t *testing.T) {
		if out, err := kubectl(t, "", "-n", "default", "delete", "wsc", name); err == nil || !strings.Contains(out, "Error from server (NotFound)") {
			t.Errorf("kubectl delete: %v: %s", err, out)
		}
	})
	// What was never a name is not found by those who read, as of any resource; who
	// wants to change it is told that it cannot be.
	for _, malformed := range []string{"chat", strings.ToUpper(name), name + "0", strings.Repeat("z", dataplanev1alpha1.NameLength)} {
		t.Run("the name "+malformed+" cannot be", func(t *testing.T) {
			path, says := connectionPath(r.namespace, malformed), "no connection was ever called this"
			operator.must(t, http.MethodGet, path, "").refuses(t, http.StatusNotFound, metav1.StatusReasonNotFound, malformed)
			operator.must(t, http.MethodDelete, path, "").refuses(t, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, says, "metadata.name")
			operator.must(t, http.MethodPost, path+"/disconnect", "{}").refuses(t, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, says, "metadata.name")
			if out, err := operator.kubectl(t, "-n", r.namespace, "delete", "wsc", malformed); err == nil || !strings.Contains(out, "is invalid: metadata.name: Invalid value") {
				t.Errorf("kubectl delete: %v: %s", err, out)
			}
		})
	}
	for _, wish := range []struct {
		body, says string
		fields     []string
	}{
		{`{"code":1005}`, "code: Invalid value: 1005: must be 1000-1003, 1007-1014 or 3000-4999", []string{"code"}},
		{`{"code":1006}`, "code: Invalid value: 1006", []string{"code"}},
		{`{"code":1015}`, "code: Invalid value: 1015", []string{"code"}},
		{`{"reason":"` + strings.Repeat("x", 124) + `"}`, "has 124 bytes, must have at most 123", []string{"reason"}},
		{`{"reason":"` + strings.Repeat("ü", 62) + `"}`, "has 124 bytes, must have at most 123", []string{"reason"}},
		{`{"gracePeriodSeconds":-1}`, "must be between 0 and 3600", []string{"gracePeriodSeconds"}},
		{`{"code":1005,"reason":"` + strings.Repeat("x", 124) + `","gracePeriodSeconds":3601}`, "1005", []string{"code", "reason", "gracePeriodSeconds"}},
		{`{"code":1000,"reason":"` + strings.Repeat("x", 123) + `","gracePeriodSeconds":3600}`, "", nil},
	} {
		t.Run(fmt.Sprintf("disconnect with %.30s", wish.body), func(t *testing.T) {
			path := connectionPath(r.namespace, name, "disconnect")
			// What may be asked for is only tried; everything else would be refused anyhow.
			if wish.fields == nil {
				operator.must(t, http.MethodPost, path+"?dryRun=All", wish.body).connection(t, http.StatusCreated)
				return
			}
			operator.must(t, http.MethodPost, path, wish.body).refuses(t, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, wish.says, wish.fields...)
			out, err := kubectl(t, wish.body, "create", "-f", "-", "--raw", path)
			if err == nil || !strings.Contains(out, wish.says) {
				t.Errorf("kubectl create --raw: %v: %s", err, out)
			}
		})
	}
	r.ends(clients, nil)
}

func TestASecondDisconnectWhileTheFirstIsClosingIsAConflict(t *testing.T) {
	r := newRoom(t, "e2e-closing", 1)
	p := r.proxy("echo", onePod)
	clients := r.talk(p, 3)
	operator := r.account("operator", operatorRole)
	mute, name := r.mute(p)
	path := connectionPath(r.namespace, name)

	c := operator.must(t, http.MethodPost, path+"/disconnect", `{"code":4000,"reason":"the first","gracePeriodSeconds":3600}`).connection(t, http.StatusCreated)
	if c.Name != name || c.DeletionTimestamp == nil || c.Status.Phase != connectionsv1alpha1.ConnectionClosing {
		t.Errorf("the first answers with %+v", c)
	}
	operator.must(t, http.MethodPost, path+"/disconnect", `{"code":4001,"reason":"the second"}`).
		refuses(t, http.StatusConflict, metav1.StatusReasonConflict, "closing already")
	out, err := kubectl(t, "{}", "create", "-f", "-", "--raw", path+"/disconnect")
	if err == nil || !strings.Contains(out, "Error from server (Conflict)") {
		t.Errorf("kubectl create --raw: %v: %s", err, out)
	}
	// Who deletes has what they want, as with anything else in Kubernetes.
	again := operator.must(t, http.MethodDelete, path, "").connection(t, http.StatusOK)
	if again.UID != c.UID || !again.DeletionTimestamp.Equal(c.DeletionTimestamp) {
		t.Errorf("deleting it answers with %+v", again.ObjectMeta)
	}
	r.lists([]string{name}, "--field-selector=status.phase=Closing")
	r.lists(held(t, clients), "--field-selector=status.phase!=Closing")

	// Once the client listens, it hears the first, answers, and is gone.
	_, _, err = mute.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); !ok || closed.Code != 4000 || closed.Text != "the first" {
		t.Errorf("the client reads %v, want 4000 %q", err, "the first")
	}
	eventually(t, 30*time.Second, "the connection to be gone", func(ctx context.Context) error {
		got, err := operator.ask(ctx, http.MethodGet, path, "")
		if err == nil && got.code != http.StatusNotFound {
			err = fmt.Errorf("%d: %s", got.code, got.body)
		}
		return err
	})
	r.ends(clients, nil)
}

// mute opens a connection whose client does not read, and so does not answer
// either, and returns its name.
func (r *room) mute(p *wsproxyv1alpha1.WebSocketProxy) (conn *websocket.Conn, name string) {
	r.t.Helper()
	eventually(r.t, 30*time.Second, "a connection, once kube-proxy sends clients to the pods", func(ctx context.Context) error {
		c, response, err := websocket.DefaultDialer.DialContext(ctx, r.url(p), nil)
		if err != nil {
			return err
		}
		conn, name = c, response.Header.Get(fleet.HeaderConnectionID)
		return nil
	})
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn, name
}
