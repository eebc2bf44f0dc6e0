// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wss

import (
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a TLS server and returns clients of it. A message on /source has it
// send for ever, elsewhere it is answered, changed where the path says so.
func start(t *testing.T) *Clients {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var upgrader websocket.Upgrader
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if r.URL.Path == "/wrong" {
				message[0]++
			}
			for again := true; again; again = strings.HasPrefix(r.URL.Path, "/source") {
				if conn.WriteMessage(kind, message) != nil {
					return
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c := &Clients{Host: "127.0.0.1", Port: s.Listener.Addr().(*net.TCPAddr).Port, Roots: roots}
	t.Cleanup(c.Stop)
	return c
}

func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never happened", what)
		}
	}
}

func TestClientsCountWhatTheyDo(t *testing.T) {
	talking := start(t)
	if err := talking.Open(t.Context(), "/", 10); err != nil {
		t.Fatal(err)
	}
	talking.Talk(128)
	eventually(t, "100 round trips", func() bool { return talking.Messages() > 100 })

	receiving := start(t)
	if err := receiving.Open(t.Context(), "/source", 2); err != nil {
		t.Fatal(err)
	}
	if err := receiving.Receive(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "1,000 bytes", func() bool { return receiving.Bytes() > 1000 })

	churning := start(t)
	churning.Churn(t.Context(), 4)
	eventually(t, "20 cycles", func() bool { return churning.Cycles() > 20 })
	for _, c := range []*Clients{talking, receiving, churning} {
		c.Stop()
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnEchoThatIsWrongIsAnError(t *testing.T) {
	c := start(t)
	if err := c.Open(t.Context(), "/wrong", 1); err != nil {
		t.Fatal(err)
	}
	c.Talk(16)
	eventually(t, "an error", func() bool { return c.Err() != nil })
}

func TestAServerThatIsAwayIsAnError(t *testing.T) {
	c := start(t)
	c.Roots = x509.NewCertPool()
	if c.Open(t.Context(), "/", 3) == nil {
		t.Error("an unknown certificate was taken")
	}
}
