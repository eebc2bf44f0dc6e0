// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"testing"
)

func answering(key string, change func(http.Header)) http.Header {
	header := http.Header{"Upgrade": {"WebSocket"}, "Connection": {"keep-alive, upgrade"}, "Sec-Websocket-Accept": {AcceptOf(key)}}
	if change != nil {
		change(header)
	}
	return header
}

func TestAcceptOfTheExampleInRFC6455(t *testing.T) {
	if got := AcceptOf("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %s", got)
	}
}

func TestAgreeRefusesWhatOpensNoWebSocket(t *testing.T) {
	head := &Head{Header: http.Header{"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}}
	for name, change := range map[string]func(http.Header){
		"no Upgrade":       func(h http.Header) { h.Del("Upgrade") },
		"other Upgrade":    func(h http.Header) { h.Set("Upgrade", "h2c") },
		"no Connection":    func(h http.Header) { h.Del("Connection") },
		"other Connection": func(h http.Header) { h.Set("Connection", "close") },
		"no accept":        func(h http.Header) { h.Del("Sec-Websocket-Accept") },
		"other accept":     func(h http.Header) { h.Set("Sec-Websocket-Accept", AcceptOf("x")) },
		"accept twice":     func(h http.Header) { h.Add("Sec-Websocket-Accept", AcceptOf(head.Key())) },
		"two subprotocols": func(h http.Header) { h["Sec-Websocket-Protocol"] = []string{"a", "b"} },
	} {
		if _, err := Agree(head, answering(head.Key(), change)); !errors.Is(err, ErrBadSwitching) {
			t.Errorf("%s: %v, want ErrBadSwitching", name, err)
		}
	}
	agreed, err := Agree(head, answering(head.Key(), func(h http.Header) {
		h.Set("Sec-Websocket-Protocol", "b")
		h["Sec-Websocket-Extensions"] = []string{"x; a", "y"}
	}))
	if want := (Agreement{Subprotocol: "b", Extensions: "x; a, y"}); err != nil || agreed != want {
		t.Errorf("%+v, %v; want %+v", agreed, err, want)
	}
}

func TestAgreeForbidsContextTakeoverWhereTheUpstreamDoesNot(t *testing.T) {
	for _, c := range []struct {
		forbid         bool
		answered, want string
	}{
		{true, "permessage-deflate", "permessage-deflate; client_no_context_takeover"},
		{true, "permessage-deflate;client_no_context_takeover", "permessage-deflate;client_no_context_takeover"},
		{true, "x-other", "x-other"},
		{true, "a;", "a;"},
		{true, "", ""},
		{false, "permessage-deflate", "permessage-deflate"},
	} {
		head := &Head{Header: http.Header{"Sec-Websocket-Key": {"x"}}, NoContextTakeover: c.forbid}
		agreed, err := Agree(head, answering("x", func(h http.Header) { setOrDelete(h, headerExtensions, c.answered) }))
		if err != nil || agreed.Extensions != c.want {
			t.Errorf("%+v: %q, %v", c, agreed.Extensions, err)
		}
	}
}

func TestSwitchingPassesTheUpstreamsHeader(t *testing.T) {
	header := answering("x", func(h http.Header) {
		h.Set("Connection", "Upgrade, X-Private")
		h.Set("X-Private", "1")
		h["Set-Cookie"] = []string{"a=b", "c=d"}
		h.Set("Server", "up")
		h.Set("Keep-Alive", "5")
		h.Set("Content-Length", "0")
		h.Set("X-Evil", "a\r\nX-Evil-2: b")
		h.Set(HeaderConnectionID, "theirs")
		h.Set(headerExtensions, "permessage-deflate")
	})
	raw := AppendSwitching(nil, header, Agreement{Subprotocol: "b", Extensions: "permessage-deflate; client_no_context_takeover"}, "pod-1")
	in := bufio.NewReader(bytes.NewReader(append(raw, "frame"...)))
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {AcceptOf("x")},
		"Set-Cookie": {"a=b", "c=d"}, "Server": {"up"}, "X-Websocket-Connection-Id": {"pod-1"},
		"Sec-Websocket-Protocol": {"b"}, "Sec-Websocket-Extensions": {"permessage-deflate; client_no_context_takeover"},
	}
	if !reflect.DeepEqual(response.Header, want) || response.Status != "101 Switching Protocols" {
		t.Errorf("%s\n%v, want\n%v", response.Status, response.Header, want)
	}
	if behind, _ := in.Peek(in.Buffered()); string(behind) != "frame" {
		t.Errorf("%q comes behind the 101", behind)
	}
}
