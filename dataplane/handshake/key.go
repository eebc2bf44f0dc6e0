// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"crypto/rand"
	"crypto/sha1" // #nosec G505 -- RFC 6455 section 4.2.2 asks for it; it protects nothing.
	"encoding/base64"
)

// NewKey returns a fresh Sec-WebSocket-Key: 16 random bytes in base64.
func NewKey() string {
	var raw [16]byte
	// It never fails: the program ends instead (crypto/rand).
	_, _ = rand.Read(raw[:])
	return base64.StdEncoding.EncodeToString(raw[:])
}

// AcceptOf returns the Sec-WebSocket-Accept that answers a key (RFC 6455 section
// 4.2.2, step 5.4, which the GUID is from).
func AcceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // #nosec G401 -- as above.
	return base64.StdEncoding.EncodeToString(sum[:])
}
