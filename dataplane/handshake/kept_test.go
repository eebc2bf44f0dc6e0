// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unsafe"
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

func TestOfTheHeadsOfManyOnlyWhatIsTheirOwnIsKeptOfEach(t *testing.T) {
	head := func(cookie, client string) *Head {
		return &Head{Host: "shop.example", RequestURI: "/chat", Header: http.Header{
			"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"},
			"Origin":     {"https://shop.example"}, "Accept-Encoding": {"gzip, deflate, br"}, "Accept-Language": {"en-US,en;q=0.9"},
			"Cache-Control": {"no-cache"}, "Pragma": {"no-cache"}, headerVersion: {"13"}, headerKey: {"dGhlIHNhbXBsZSBub25jZQ=="},
			headerForwardedProto: {"https"}, headerForwardedHost: {"shop.example"}, headerForwardedPort: {"443"},
			"Cookie": {cookie}, headerForwardedFor: {client}, headerForwarded: {"for=" + client + ";host=shop.example;proto=https"},
		}}
	}
	one, other := head("session=1", "192.0.2.1").Keep(), head("session=2222", "192.0.2.222").Keep()
	if one.shared != other.shared {
		t.Errorf("kept twice: %q and %q", one.shared.Value(), other.shared.Value())
	}
	if want := len("/chat\n\x01session=1\n\x01192.0.2.1\n\x01for=192.0.2.1;host=shop.example;proto=https\n"); len(one.own) != want {
		t.Errorf("%d bytes of its own, want %d: %q", len(one.own), want, one.own)
	}
}

func TestAPathIsSharedWithTheKeptTarget(t *testing.T) {
	kept := (&Head{Host: "h", RequestURI: "/chat/7?x=y"}).Keep()
	for _, path := range []string{"/chat/7", "/chat/7\uFFFD", "", "/elsewhere"} {
		if got := kept.Share(path); got != path {
			t.Errorf("%q became %q", path, got)
		}
	}
	if got := kept.Share("/chat/7"); unsafe.StringData(got) != unsafe.StringData(kept.own) {
		t.Error("the path is kept twice")
	}
	if got := (Kept{}).Share("/chat"); got != "/chat" {
		t.Errorf("without a head: %q", got)
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
