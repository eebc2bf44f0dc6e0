// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"encoding/base64"
	"net/http"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

// Check returns why a request is not a handshake that may go on, or nil. It
// holds the server's side of RFC 6455 section 4.2.1, and spec.listen: 404 for a
// path that is not served, 426 for a request that asks for no WebSocket or for
// another version of it, 505 for one that asks in HTTP/1.0, which knows no
// upgrade, 400 for what is malformed, 403 for an origin that is not allowed.
//
// Subprotocols and extensions are not looked at: they are between client and
// upstream.
func Check(r *http.Request, cfg *config.Config) *Refusal {
	t, err := target(r.RequestURI)
	if err != nil {
		return Refuse(http.StatusBadRequest, ReasonMalformed, "%v", err)
	}
	// A prefix is served in the spelling of the manifest and in any that means
	// the same.
	if !cfg.PathServed(pathOf(t)) && !cfg.PathServed(segments(t)) {
		return Refuse(http.StatusNotFound, ReasonPathNotServed, "no WebSocket is served under this path")
	}
	for _, check := range []func(*http.Request) *Refusal{checkUpgrade, checkMessage, checkFields} {
		if refusal := check(r); refusal != nil {
			return refusal
		}
	}
	if origins := r.Header["Origin"]; len(origins) > 0 && !cfg.OriginAllowed(origins[0]) {
		return Refuse(http.StatusForbidden, ReasonOriginNotAllowed, "this origin is not allowed")
	}
	return nil
}

// checkUpgrade answers those who do not speak of WebSocket, or not of ours.
func checkUpgrade(r *http.Request) *Refusal {
	upgrade := hasToken(r.Header["Upgrade"], "websocket")
	switch versions := r.Header[headerVersion]; {
	case !upgrade:
		return upgradeRequired(ReasonNotWebSocket, "this is a WebSocket endpoint")
	case r.ProtoMajor != 1 || r.ProtoMinor == 0:
		return Refuse(http.StatusHTTPVersionNotSupported, ReasonUnsupportedVersion,
			"the WebSocket handshake needs HTTP/1.1, this request is HTTP/%d.%d", r.ProtoMajor, r.ProtoMinor)
	case len(versions) != 1 || trim(versions[0]) != "13":
		return upgradeRequired(ReasonUnsupportedVersion, "Sec-WebSocket-Version must be 13")
	default:
		return nil
	}
}

func upgradeRequired(reason Reason, text string) *Refusal {
	refusal := Refuse(http.StatusUpgradeRequired, reason, "%s", text)
	refusal.Header.Set("Upgrade", "websocket")
	refusal.Header.Set("Connection", "Upgrade")
	refusal.Header.Set(headerVersion, "13")
	return refusal
}

// checkMessage refuses what is not a bare GET. A body would be taken for frames,
// or for another request by somebody on the way.
func checkMessage(r *http.Request) *Refusal {
	switch {
	case r.Method != http.MethodGet:
		return Refuse(http.StatusBadRequest, ReasonMalformed, "the method of a WebSocket handshake must be GET")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return Refuse(http.StatusBadRequest, ReasonMalformed, "a WebSocket handshake must not have a body")
	case r.Host == "":
		return Refuse(http.StatusBadRequest, ReasonMalformed, "the Host header must not be empty")
	default:
		return nil
	}
}

func checkFields(r *http.Request) *Refusal {
	switch keys := r.Header[headerKey]; {
	case !hasToken(r.Header["Connection"], "upgrade"):
		return Refuse(http.StatusBadRequest, ReasonMalformed, "the Connection header must hold the token Upgrade")
	case len(keys) != 1:
		return Refuse(http.StatusBadRequest, ReasonMalformed, "there must be one Sec-WebSocket-Key header, there are %d", len(keys))
	case !isKey(trim(keys[0])):
		return Refuse(http.StatusBadRequest, ReasonMalformed, "Sec-WebSocket-Key must be 16 bytes in base64")
	case len(r.Header["Origin"]) > 1:
		return Refuse(http.StatusBadRequest, ReasonMalformed, "there must be at most one Origin header, there are %d", len(r.Header["Origin"]))
	default:
		return nil
	}
}

// isKey does not insist on the unused bits of the last digit being zero: those
// of the example in RFC 6455 section 4.1 are not.
func isKey(key string) bool {
	var raw [18]byte // what 24 digits may be at most
	if len(key) != 24 {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], []byte(key))
	return err == nil && n == 16
}
