// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Whatever is accepted as the upstream's URL can be dialed: the relay never has
// to ask again.
func FuzzAnAcceptedURLCanBeDialed(f *testing.F) {
	for _, text := range []string{
		"wss://chat.example.com/ws", "ws://[fd00::7]:8080", "ws://a:65535/@b:c", "ws://a_b.", "ws://[::1%25eth0]", "ws://a@b", "wss:a//b", "ws://a:b/", "ws://a/%zz", "ws://a?b#c", "ws://[1:2", "ws:///", "ws://a:99999",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		proxy := &v1alpha1.WebSocketProxy{}
		proxy.Name, proxy.Spec.Upstream.URL = "chat", text
		if len(proxy.Validate()) > 0 {
			return
		}
		parsed, err := url.Parse(text)
		if err != nil {
			t.Fatalf("accepted %q: %v", text, err)
		}
		if parsed.Scheme != "ws" && parsed.Scheme != "wss" || parsed.Hostname() == "" || parsed.User != nil || parsed.Opaque != "" ||
			parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" {
			t.Errorf("accepted %q: %#v", text, parsed)
		}
		if port := parsed.Port(); port != "" {
			if _, err := netip.ParseAddrPort("127.0.0.1:" + strings.TrimLeft(port, "0")); err != nil {
				t.Errorf("accepted %q: %v", text, err)
			}
		}
		// What goes into a request line and a Host header cannot break out of it.
		if strings.ContainsAny(text, " \r\n\t\x00") {
			t.Errorf("accepted %q", text)
		}
	})
}

// Whatever is accepted in listen means what it says: a network is one, and a
// path is one that a request can have.
func FuzzAnAcceptedListenIsUsable(f *testing.F) {
	f.Add("10.0.0.0/8", "/chat", "https://shop.example")
	f.Add("fd00::/8", "/a%20b/", "http://[::1]:8080")
	f.Add("::ffff:10.0.0.0/104", "/a/../b", "null")
	f.Add("fe80::%eth0/10", "//", "https://a/")
	f.Fuzz(func(t *testing.T, network, path, origin string) {
		accepted := func(listen v1alpha1.Listen) bool {
			proxy := &v1alpha1.WebSocketProxy{}
			proxy.Name, proxy.Spec.Upstream.URL, proxy.Spec.Listen = "chat", "ws://chat", listen
			return len(proxy.Validate()) == 0
		}
		if accepted(v1alpha1.Listen{TrustedProxies: []string{network}}) {
			prefix, err := netip.ParsePrefix(network)
			if err != nil || prefix.Addr() != prefix.Masked().Addr() || prefix.Addr().Is4In6() {
				t.Errorf("accepted the network %q: %v", network, err)
			}
		}
		if accepted(v1alpha1.Listen{Paths: []string{path}}) {
			if path == "" || path[0] != '/' || strings.ContainsAny(path, "?# \r\n\t\x00") {
				t.Errorf("accepted the path %q", path)
			}
			for i, segment := range strings.Split(path[1:], "/") {
				if segment == "." || segment == ".." || segment == "" && i < strings.Count(path[1:], "/") {
					t.Errorf("accepted the path %q", path)
				}
			}
		}
		if accepted(v1alpha1.Listen{AllowedOrigins: []string{origin}}) {
			scheme, host, ok := strings.Cut(origin, "://")
			if !ok || scheme == "" || host == "" || strings.ContainsAny(host, "/?#@* \r\n\t\x00") {
				t.Errorf("accepted the origin %q", origin)
			}
		}
	})
}
