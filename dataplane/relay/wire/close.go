// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// The close codes that the proxy itself sends, waits for or must not send
// (RFC 6455 section 7.4.1 and the IANA registry).
const (
	CloseNormal          = 1000
	CloseGoingAway       = 1001
	CloseProtocolError   = 1002
	CloseNoStatus        = 1005 // never on the wire: a close frame without a code
	CloseAbnormal        = 1006 // never on the wire: no close frame at all
	ClosePolicyViolation = 1008
	CloseMessageTooBig   = 1009
	CloseInternalError   = 1011
	CloseServiceRestart  = 1012
	CloseTryAgainLater   = 1013
	CloseBadGateway      = 1014
)

// MaxReason is the size in bytes of the longest reason of a close frame.
const MaxReason = MaxControlPayload - 2

// ValidCloseCode says whether a code may stand in a close frame: 1000 to 1003,
// 1007 to 1014, and 3000 to 4999 (RFC 6455 section 7.4 and the IANA registry).
func ValidCloseCode(code int) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
}

// ParseClose reads the (unmasked) payload of a close frame. An empty one means
// CloseNoStatus. Errors are ProtocolErrors.
func ParseClose(payload []byte) (code int, reason string, err error) {
	switch {
	case len(payload) == 0:
		return CloseNoStatus, "", nil
	case len(payload) == 1:
		return 0, "", ProtocolError("close frame with half a code")
	}
	code = int(binary.BigEndian.Uint16(payload))
	if !ValidCloseCode(code) {
		return 0, "", ProtocolError(fmt.Sprintf("close code %d", code))
	}
	if !utf8.Valid(payload[2:]) {
		return 0, "", ProtocolError("close reason that is not UTF-8")
	}
	return code, string(payload[2:]), nil
}

// AppendClose appends the payload of a close frame to dst: nothing for
// CloseNoStatus. The caller has made sure that the code is valid and that the
// reason is UTF-8 of at most MaxReason bytes.
func AppendClose(dst []byte, code int, reason string) []byte {
	if code == CloseNoStatus {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}
