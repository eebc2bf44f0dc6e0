// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// What an administrator does with kubectl ws, and what the clients see of it.
func TestThePluginMeasuresSendsEndsAndTellsWhy(t *testing.T) {
	r := newRoom(t, "e2e-plugin", 1)
	echo := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Settings.RetryDelay = new(int32(250)) })
	ws := func(t *testing.T, arguments ...string) string {
		t.Helper()
		return mustKubectl(t, "", append([]string{"ws", "-n", r.namespace}, arguments...)...)
	}

	t.Run("settings", func(t *testing.T) {
		out := ws(t, "settings", "echo")
		for _, want := range []string{"retryDelay 250 milliseconds Proxy", "reuseAddr true boolean BuiltIn"} {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
	})
	t.Run("send", func(t *testing.T) {
		conn, name := r.in(t).mute(echo)
		if out := ws(t, "send", name, "--text", "grüß dich"); out != "websocketconnection.connections.wsproxy.io/"+name+" message sent\n" {
			t.Error(out)
		}
		if kind, got, err := conn.ReadMessage(); err != nil || kind != websocket.TextMessage || string(got) != "grüß dich" {
			t.Errorf("the client gets %d %q: %v", kind, got, err)
		}
		ws(t, "disconnect", name, "--code=4000", "--reason=enough")
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 4000) || !strings.Contains(err.Error(), "enough") {
			t.Errorf("the client is told %v", err)
		}
		r.in(t).listsSoon(nil)
	})
	t.Run("why", func(t *testing.T) {
		conn, name := r.in(t).mute(echo)
		if out := ws(t, "why", name); !strings.Contains(out, name+" in namespace "+r.namespace+" has not ended.") {
			t.Error(out)
		}
		if err := conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4003, "had enough")); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, "the end of the connection", func(context.Context) error {
			out := strings.Join(strings.Fields(ws(t, "why", name)), " ")
			for _, want := range []string{"has ended.", "By: Client", "Cause: ClientClose: the client closed it", "Code: 4003", `Reason: "had enough"`} {
				if !strings.Contains(out, want) {
					return fmt.Errorf("it does not say %q: %s", want, out)
				}
			}
			return nil
		})
	})
	// More than one user may end at once, so the server makes the plugin wait.
	const many = 300
	clients := r.talk(echo, many)
	t.Run("top", func(t *testing.T) {
		// Each says something once a second, and is answered, unless this machine is busy.
		eventually(t, time.Minute, "every connection to be measured", func(context.Context) error {
			out := ws(t, "top", "--refresh=3s", "--no-headers", "--limit=0")
			measured := 0
			for line := range strings.Lines(out) {
				var name, proxy, client, slash string
				var fromClient, fromUpstream float64
				if _, err := fmt.Sscan(line, &name, &proxy, &client, &fromClient, &slash, &fromUpstream); err != nil {
					return fmt.Errorf("%q: %w", line, err)
				}
				if fromClient > 0 && fromUpstream > 0 {
					measured++
				}
			}
			if measured != many {
				return fmt.Errorf("%d of %d do something:\n%.1000s", measured, many, out)
			}
			return nil
		})
	})
	t.Run("disconnect", func(t *testing.T) {
		r, names := r.in(t), held(t, clients)
		out := ws(t, "disconnect", "-l", "wsproxy.io/proxy=echo", "--code=4002", "--reason=bis später")
		if !strings.HasSuffix(out, fmt.Sprintf("\n%d of %d connections disconnected\n", many, many)) {
			t.Errorf("it ends with %q", out[max(0, len(out)-500):])
		}
		ended := endings{}
		ended.add(end{4002, "bis später"}, names...)
		r.ends(clients, ended)
	})
}
