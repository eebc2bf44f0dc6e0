// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

// BenchmarkPlain is what the heads of a plain handshake cost, from the client's to
// what is kept of it.
func BenchmarkPlain(b *testing.B) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	request := strings.ReplaceAll(`GET /chat?room=1 HTTP/1.1
Host: shop.example:8080
Connection: Upgrade
Pragma: no-cache
Cache-Control: no-cache
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36
Upgrade: websocket
Origin: https://shop.example
Sec-WebSocket-Version: 13
Accept-Encoding: gzip, deflate, br
Accept-Language: en-US,en;q=0.9
Sec-WebSocket-Key: `+key+`

`, "\n", "\r\n")
	switching := strings.ReplaceAll(`HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Accept: `+AcceptOf(key)+`

`, "\n", "\r\n")
	cfg := &config.Config{}
	b.ReportAllocs()
	for b.Loop() {
		r, ok := ParseRequest(request)
		if !ok {
			b.Fatal("the request is not plain")
		}
		r.RemoteAddr = "192.0.2.1:1234"
		if refusal := Check(r, cfg); refusal != nil {
			b.Fatal(refusal.Body)
		}
		_ = ClientIP(r, cfg)
		head := TakeHead(r, cfg, "0123456789abcdefg-00000001")
		if _, err := head.AppendRequest(make([]byte, 0, 2*len(request)), cfg); err != nil {
			b.Fatal(err)
		}
		response, ok := ParseSwitching(switching)
		if !ok {
			b.Fatal("the answer is not plain")
		}
		agreed, err := Agree(head, response)
		if err != nil {
			b.Fatal(err)
		}
		_ = AppendSwitching(make([]byte, 0, 2*len(switching)), response, agreed, "0123456789abcdefg-00000001")
		_ = head.Keep()
	}
}
