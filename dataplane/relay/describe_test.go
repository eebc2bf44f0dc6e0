// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"
)

// A string that is no UTF-8 cannot be encoded, and would take the listing of all
// the others with it.
func TestWhateverAClientSaysItCanBeListed(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	header := http.Header{"User-Agent": {"agent \xff" + strings.Repeat("x", 5000)}, "Origin": {"http://\xfe.example"}}
	client, _, err := websocket.DefaultDialer.DialContext(t.Context(), p.url+"/%ff/a%20b?token=secret", header)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if up := backend.next(t); up == nil {
		t.Fatal("the backend has no connection")
	}
	described := p.only().Describe()
	if _, err := proto.Marshal(described); err != nil {
		t.Fatal(err)
	}
	if path := described.GetPath(); path != "/%ff/a%20b" {
		t.Errorf("the path is %q, want it as it was sent", path)
	}
	if agent := described.GetUserAgent(); !strings.HasPrefix(agent, "agent \ufffdxxx") || len(agent) > 300 {
		t.Errorf("the user agent is %d bytes: %.20q", len(agent), agent)
	}
	if origin := described.GetOrigin(); origin != "http://\ufffd.example" {
		t.Errorf("the origin is %q", origin)
	}
}
