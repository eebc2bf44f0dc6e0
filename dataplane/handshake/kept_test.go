// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestAKeptHeadSaysTheSameToTheNextUpstream(t *testing.T) {
	agreed := Agreement{Subprotocol: "chat.v2"}
	long := strings.Repeat("x", 9000)
	for name, head := range map[string]*Head{
		"nothing": {Host: "h", RequestURI: "/", Header: http.Header{}},
		"everything": {Host: "shop.example:8080", RequestURI: "/chat?x=%20y", NoContextTakeover: true, Header: http.Header{
			"User-Agent": {"curl/8"}, "Origin": {""}, "Cookie": {"a=b", "c=d"}, "X-Own": {"1", "", long},
			headerVersion: {"13"}, headerKey: {"dGhlIHNhbXBsZSBub25jZQ=="}, headerProtocol: {"chat.v1, chat.v2"},
			headerExtensions: {"permessage-deflate"}, headerForwarded: {"for=192.0.2.1;host=\"a:b\""}, "X-Colon": {"a:b: c"},
		}},
	} {
		head.Header.Set(HeaderConnectionID, "the-name")
		want := head.Reconnect(3, agreed)
		got := head.Keep().Head("the-name").Reconnect(3, agreed)
		want.Header.Del(headerKey) // of which each has its own
		got.Header.Del(headerKey)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
}

func TestSizeOfAKeptHeadIsAllThatItSays(t *testing.T) {
	if got := (Kept{}).Size(); got != 0 {
		t.Errorf("%d bytes of no head", got)
	}
	h := &Head{Host: "chat.example", RequestURI: "/chat", Header: http.Header{"User-Agent": {"x"}, "X-Login": {"y"}}}
	if got, want := h.Keep().Size(), len("chat.example\n\x01x\n/chat\nX-Login:y\n"); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}

func TestNoKeptNameStandsForALineFeed(t *testing.T) {
	for i, name := range keptNames {
		if (byte(i+1) == '\n') != (name == "") || i+1 >= ' ' || name != http.CanonicalHeaderKey(name) {
			t.Errorf("%q stands as %#x", name, i+1)
		}
	}
}

func FuzzKeep(f *testing.F) {
	f.Add("h", "/", "X-A", "v")
	f.Add("h", "/?", "User-Agent", "")
	f.Fuzz(func(t *testing.T, host, target, name, value string) {
		name = http.CanonicalHeaderKey(name)
		switch name {
		case headerKey, headerProtocol, headerExtensions, HeaderConnectionID:
			return
		}
		if !isToken(name) || !isFieldValue(value) || !isFieldValue(host) || !isFieldValue(target) {
			return
		}
		head := &Head{Host: host, RequestURI: target, Header: http.Header{name: {value}, HeaderConnectionID: {"id"}}}
		if got := head.Keep().Head("id"); !reflect.DeepEqual(got, head) {
			t.Errorf("got %+v, want %+v", got, head)
		}
	})
}
