// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import "testing"

func TestClientIP(t *testing.T) {
	for _, c := range []struct {
		name, remote, header, want string
	}{
		{"peer", "192.0.2.1:5000", "", "192.0.2.1"},
		{"IPv6 peer", "[2001:db8::1]:5000", "", "2001:db8::1"},
		{"IPv4 in IPv6 form", "[::ffff:192.0.2.1]:5000", "", "192.0.2.1"},
		{"IPv6 with a zone", "[fe80::1%eth0]:5000", "", "fe80::1"},
		{"peer without an address", "@", "X-Forwarded-For: 192.0.2.1\n", "invalid IP"},
		{"nobody is believed who is not trusted", "192.0.2.1:5000", "X-Forwarded-For: 198.51.100.7\nForwarded: for=198.51.100.7\n", "192.0.2.1"},
		{"what a trusted proxy reports", "10.0.0.1:5000", "X-Forwarded-For: 198.51.100.7\n", "198.51.100.7"},
		{"trusted in IPv6 form", "[::ffff:10.0.0.1]:5000", "X-Forwarded-For: 198.51.100.7\n", "198.51.100.7"},
		{"invented entries are on the left", "10.0.0.1:5000", "X-Forwarded-For: 203.0.113.66, 198.51.100.7\n", "198.51.100.7"},
		{"trusted proxies are passed over", "10.0.0.1:5000", "X-Forwarded-For: 203.0.113.66, 198.51.100.7, 10.0.0.3\n", "198.51.100.7"},
		{"several lines are one list", "10.0.0.1:5000", "X-Forwarded-For: 203.0.113.66\nX-Forwarded-For: 198.51.100.7\nX-Forwarded-For: 10.0.0.3\n", "198.51.100.7"},
		{"all are trusted", "10.0.0.1:5000", "X-Forwarded-For: 10.0.0.9, 10.0.0.3\n", "10.0.0.9"},
		{"with ports", "10.0.0.1:5000", "X-Forwarded-For: 198.51.100.7:1234, [2001:db8:0:1::1]:99\n", "198.51.100.7"},
		{"bare IPv6", "10.0.0.1:5000", "X-Forwarded-For: 2001:db8:ffff::1\n", "2001:db8:ffff::1"},
		{"IPv6 in brackets", "10.0.0.1:5000", "X-Forwarded-For: [2001:db8:ffff::1]\n", "2001:db8:ffff::1"},
		{"garbage ends the search", "10.0.0.1:5000", "X-Forwarded-For: 198.51.100.7, nonsense, 10.0.0.3\n", "10.0.0.3"},
		{"garbage at once", "10.0.0.1:5000", "X-Forwarded-For: unknown\n", "10.0.0.1"},
		{"empty", "10.0.0.1:5000", "X-Forwarded-For:\n", "10.0.0.1"},
		{"trailing comma", "10.0.0.1:5000", "X-Forwarded-For: 198.51.100.7,\n", "10.0.0.1"},
		{"half a bracket", "10.0.0.1:5000", "X-Forwarded-For: [2001:db8::1\n", "10.0.0.1"},
		{"Forwarded", "10.0.0.1:5000", "Forwarded: for=203.0.113.66, For=\"198.51.100.7:80\";proto=https;by=10.0.0.1\n", "198.51.100.7"},
		{"Forwarded with IPv6", "10.0.0.1:5000", "Forwarded: for=\"[2001:db8:ffff::1]:4711\"\n", "2001:db8:ffff::1"},
		{"Forwarded with an obfuscated node", "10.0.0.1:5000", "Forwarded: for=198.51.100.7, for=_hidden\n", "10.0.0.1"},
		{"X-Forwarded-For wins over Forwarded", "10.0.0.1:5000", "Forwarded: for=203.0.113.66\nX-Forwarded-For: 198.51.100.7\n", "198.51.100.7"},
		{"a quote that does not end", "10.0.0.1:5000", "Forwarded: for=\"203.0.113.66, for=198.51.100.7\n", "10.0.0.1"},
		{"Forwarded without for", "10.0.0.1:5000", "Forwarded: proto=https\n", "10.0.0.1"},
		{"Connection cannot hide it", "10.0.0.1:5000", "Connection: X-Forwarded-For\nX-Forwarded-For: 198.51.100.7\n", "198.51.100.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := trusting(t, "10.0.0.0/8", "2001:db8::/48")
			if got := ClientIP(parse(t, opening+c.header, c.remote), cfg); got.String() != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
