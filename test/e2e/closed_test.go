// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// "Who closed it?" is what is asked of every proxy.
func TestAClosedConnectionSaysWhoClosedItAndWhy(t *testing.T) {
	r := newRoom(t, "e2e-closed", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) {
		onePod(spec)
		spec.Limits.MaxMessageBytes = new(int64(1000))
	})
	r.reachable(r.url(p))

	says := func(conn *websocket.Conn, text string) {
		t.Helper()
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	leaving, left := r.dial(p, "")
	if err := leaving.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "logged out")); err != nil {
		t.Fatal(err)
	}
	sentAway, refused := r.dial(p, "?close=4000&after=1")
	says(sentAway, "hello")
	_, ended := r.dial(p, "")
	mustKubectl(t, "", "-n", r.namespace, "delete", "wsc", ended, "--wait=false")
	loud, limited := r.dial(p, "")
	says(loud, strings.Repeat("x", 1001))
	killed := r.killClient(p)

	for _, want := range []struct {
		name   string
		by     connectionsv1alpha1.EndedBy
		cause  connectionsv1alpha1.EndCause
		code   int
		reason string
	}{
		{left, connectionsv1alpha1.EndedByClient, connectionsv1alpha1.CauseClientClose, 4001, "logged out"},
		{refused, connectionsv1alpha1.EndedByUpstream, connectionsv1alpha1.CauseUpstreamClose, 4000, "as asked"},
		{ended, connectionsv1alpha1.EndedByAdmin, connectionsv1alpha1.CauseDisconnected, byAdministrator.code, byAdministrator.reason},
		{limited, connectionsv1alpha1.EndedByProxy, connectionsv1alpha1.CauseMessageTooBig, 1009, "message too big"},
		{killed, connectionsv1alpha1.EndedByNetwork, connectionsv1alpha1.CauseClientLost, 1006, "client ended without a close frame"},
	} {
		t.Run(string(want.cause), func(t *testing.T) {
			var c connectionsv1alpha1.ClosedWebSocketConnection
			eventually(t, time.Minute, "the end of "+want.name, func(ctx context.Context) error { return r.Get(ctx, r.key(want.name), &c) })
			if s := c.Status; s.By != want.by || s.Cause != want.cause || int(s.Code) != want.code || s.Reason != want.reason {
				t.Errorf("it ended by %s, %s, %d %q, want %+v", s.By, s.Cause, s.Code, s.Reason, want)
			}
			if s := c.Status; s.ClosedAt.Before(&c.Spec.ConnectedAt) || time.Since(s.ClosedAt.Time).Abs() > 10*time.Minute || s.Upstream != r.backends()[0].Status.PodIP+":8080" {
				t.Errorf("it was %+v", c)
			}
			if c.Spec.Proxy != p.Name || c.Spec.Pod != r.pods(p.Name)[0].Name || c.Spec.Client.SourceIP == "" || c.Labels[wsproxyv1alpha1.LabelProxy] != p.Name {
				t.Errorf("it was %+v", c)
			}
			out := mustKubectl(t, "", "-n", r.namespace, "get", "cwsc", "--field-selector", "status.cause="+string(want.cause))
			line := fmt.Sprintf(`(?m)^%s +%s +\S+ +%s +%s +%d +%s`, want.name, p.Name, want.by, want.cause, want.code, regexp.QuoteMeta(want.reason))
			if !regexp.MustCompile(line).MatchString(out) || strings.Count(out, "\n") != 2 {
				t.Errorf("kubectl get cwsc says\n%s", out)
			}
			administrator(t).must(t, http.MethodGet, connectionPath(r.namespace, want.name), "").
				refuses(t, http.StatusNotFound, metav1.StatusReasonNotFound, want.name)
		})
	}
	t.Log("\n" + mustKubectl(t, "", "-n", r.namespace, "get", "cwsc", "-o", "wide"))

	t.Run("and nothing of it when its pod is gone", func(t *testing.T) {
		r := r.in(t)
		mustKubectl(t, "", "-n", r.namespace, "delete", "pod", r.pods(p.Name)[0].Name, "--force", "--grace-period=0")
		path := strings.Replace(connectionPath(r.namespace, left), connectionsv1alpha1.ResourceConnections, connectionsv1alpha1.ResourceClosed, 1)
		eventually(t, time.Minute, "the pod to be known to be gone", func(ctx context.Context) error {
			got, err := administrator(t).ask(ctx, http.MethodGet, path, "")
			if err == nil && got.code != http.StatusNotFound {
				err = fmt.Errorf("%d: %s", got.code, got.body)
			}
			return err
		})
	})
}

// dial opens a connection and returns its name. Its client reads, and so answers a
// close frame, until the connection ends.
func (r *room) dial(p *wsproxyv1alpha1.WebSocketProxy, query string) (conn *websocket.Conn, name string) {
	r.t.Helper()
	conn, response, err := websocket.DefaultDialer.DialContext(r.t.Context(), r.url(p)+"/"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	r.t.Cleanup(func() {
		_ = conn.Close()
		<-over
	})
	return conn, response.Header.Get(fleet.HeaderConnectionID)
}

// killClient opens a connection from a process of its own, which it kills, and returns
// the name.
func (r *room) killClient(p *wsproxyv1alpha1.WebSocketProxy) string {
	r.t.Helper()
	at, err := url.Parse(r.url(p))
	if err != nil {
		r.t.Fatal(err)
	}
	client := exec.CommandContext(r.t.Context(), "bash", "-c", `exec 3<>/dev/tcp/$0/$1
printf 'GET / HTTP/1.1\r\nHost: echo\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n' >&3
exec cat <&3`, at.Hostname(), at.Port())
	answer, err := client.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		r.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(answer), nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("%v: %v", err, response)
	}
	if err := client.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	_ = client.Wait() // It says that it was killed.
	return response.Header.Get(fleet.HeaderConnectionID)
}
