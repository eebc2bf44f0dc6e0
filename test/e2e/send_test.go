// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A backend's messages reach clients that talk with their upstream: each once, in the
// order of sending, and none of the others is missing.
func TestMessagesAreSentToClientsThatTalk(t *testing.T) {
	const clients, each = 20, 15
	r := newRoom(t, "e2e-send", 1)
	echo := r.proxy("echo", nil)
	messenger, viewer, operator := r.account("messenger", messengerRole), r.account("viewer", viewerRole), r.account("operator", operatorRole)

	names := make([]string, clients)
	conns := make([]*websocket.Conn, clients)
	for i := range clients {
		conns[i], names[i] = r.mute(echo)
	}
	stop := make(chan struct{})
	heard := make([]listener, clients)
	var talking, sending sync.WaitGroup
	for i, conn := range conns {
		talking.Go(func() { heard[i].listen(t, conn) })
		talking.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					// What was said last is answered last.
					if err := conn.WriteMessage(websocket.TextMessage, []byte("said end")); err != nil {
						t.Error(err)
					}
					return
				case <-time.After(2 * time.Millisecond):
				}
				if err := conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "said %d", n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i, name := range names {
		sending.Go(func() {
			for n := range each {
				body := fmt.Sprintf(`{"text":"sent %d"}`, n)
				for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
					got, err := messenger.ask(t.Context(), http.MethodPost, connectionPath(r.namespace, name, "send"), body)
					if err == nil && got.code == http.StatusCreated {
						break
					}
					// Nothing was sent where it says when to try again.
					if err != nil || got.header.Get("Retry-After") == "" || time.Now().After(deadline) {
						t.Errorf("client %d: %v: %d %s", i, err, got.code, got.body)
						return
					}
				}
			}
		})
	}
	sending.Wait()
	close(stop)
	talking.Wait()
	for i := range heard {
		if heard[i].sent != each || heard[i].said == 0 {
			t.Errorf("client %d got %d messages that were sent, want %d, and %d answers", i, heard[i].sent, each, heard[i].said)
		}
	}

	t.Run("kubectl sends", func(t *testing.T) {
		mustKubectl(t, `{"type":"Binary","data":"/wA="}`, "create", "-f", "-", "--raw", connectionPath(r.namespace, names[0], "send"))
		if kind, got, err := conns[0].ReadMessage(); err != nil || kind != websocket.BinaryMessage || string(got) != "\xff\x00" {
			t.Errorf("the client reads % x of type %d: %v", got, kind, err)
		}
	})
	t.Run("who has no right to it sends nothing", func(t *testing.T) {
		for _, who := range []*account{viewer, operator} {
			who.must(t, http.MethodPost, connectionPath(r.namespace, names[0], "send"), `{"text":"x"}`).
				refuses(t, http.StatusForbidden, metav1.StatusReasonForbidden, "cannot create")
		}
		messenger.must(t, http.MethodGet, connectionPath(r.namespace, names[0]), "").
			refuses(t, http.StatusForbidden, metav1.StatusReasonForbidden, "cannot get")
	})
	t.Run("nothing is sent to one that closes", func(t *testing.T) {
		operator.must(t, http.MethodPost, connectionPath(r.namespace, names[0], "disconnect"), `{"gracePeriodSeconds":60}`).connection(t, http.StatusCreated)
		messenger.must(t, http.MethodPost, connectionPath(r.namespace, names[0], "send"), `{"text":"x"}`).
			refuses(t, http.StatusConflict, metav1.StatusReasonConflict, "closing already")
	})
}

// listener counts what a client hears.
type listener struct{ said, sent int }

// listen reads until the answer to what was said last, and fails unless everything
// comes once and in its order.
func (l *listener) listen(t *testing.T, conn *websocket.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Minute))
	for {
		_, got, err := conn.ReadMessage()
		if err != nil {
			t.Error(err)
			return
		}
		switch string(got) {
		case "said end":
			_ = conn.SetReadDeadline(time.Time{})
			return
		case fmt.Sprintf("said %d", l.said):
			l.said++
		case fmt.Sprintf("sent %d", l.sent):
			l.sent++
		default:
			t.Errorf("%q, after %d answers and %d messages", got, l.said, l.sent)
			return
		}
	}
}
