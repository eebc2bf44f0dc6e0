// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

var (
	// ErrNoEndpoints says that the Service has no endpoint, or none that is not
	// going away. One may be there at the next attempt.
	ErrNoEndpoints = errors.New("the upstream has no endpoint")
	// ErrBadAnswer says that what the upstream answered is no HTTP response, or is
	// a 101 that opens no WebSocket.
	ErrBadAnswer = errors.New("the upstream's answer to the handshake is malformed")
)

// Stage is the part of an attempt in which it failed.
type Stage string

// The stages of an attempt, in their order.
const (
	StageDial      Stage = "dial"
	StageTLS       Stage = "tls"
	StageHandshake Stage = "handshake"
)

// AttemptError is a failed attempt that got no answer.
type AttemptError struct {
	Stage Stage
	// Address is what was dialed: the endpoint, or host and port of the URL.
	Address string
	Err     error
}

// Error names the stage and the address.
func (e *AttemptError) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Stage, e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *AttemptError) Unwrap() error { return e.Err }

// Retryable reports whether another attempt may end better: after a failure to
// dial, a failure of the transport under TLS or under the handshake, a timeout,
// or 502, 503 or 504 from the upstream.
//
// Not retried is what the peer, or its certificate, has said on purpose: another
// status, a malformed answer, a TLS alert, a certificate that does not verify.
// Nor is anything once the caller's context has been cancelled.
func Retryable(err error) bool {
	if refused, ok := errors.AsType[*Refused](err); ok {
		return refused.Status == http.StatusBadGateway ||
			refused.Status == http.StatusServiceUnavailable ||
			refused.Status == http.StatusGatewayTimeout
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrBadAnswer), errors.Is(err, handshake.ErrBadHead):
		return false
	case errors.Is(err, ErrNoEndpoints):
		return true
	}
	attempt, ok := errors.AsType[*AttemptError](err)
	if !ok {
		return false
	}
	return attempt.Stage == StageDial || !isPeersWord(attempt.Err)
}

// isPeersWord reports whether TLS failed because of what the peer said rather
// than because of the transport. crypto/tls reports an alert of the peer as an
// OpError of the operation "remote error", also to reads after the handshake:
// that is how TLS 1.3 refuses a client certificate.
func isPeersWord(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// IsTimeout reports whether an attempt failed because time ran out.
func IsTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// busyRetryAfter is what clients are told for whom there was no descriptor.
const busyRetryAfter = 5 * time.Second

// Answer is what the client is told where no upstream has answered: 503 where we
// had no descriptor to reach one with, 504 where the last failure was a timeout,
// else 502. What went wrong is for the log: it
// would show the client addresses of the inside.
func Answer(err error) *handshake.Refusal {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return handshake.RefuseFor(http.StatusServiceUnavailable, handshake.ReasonNoDescriptors, busyRetryAfter, "this proxy has no room for another connection")
	}
	if IsTimeout(err) {
		return handshake.Refuse(http.StatusGatewayTimeout, handshake.ReasonUpstreamTimeout, "the upstream did not answer in time")
	}
	return handshake.Refuse(http.StatusBadGateway, reasonOf(err), "the upstream could not be reached")
}

// reasonOf is the reason of a failure that is no timeout.
func reasonOf(err error) handshake.Reason {
	attempt, _ := errors.AsType[*AttemptError](err)
	switch {
	case errors.Is(err, ErrNoEndpoints):
		return handshake.ReasonNoEndpoints
	case errors.Is(err, ErrBadAnswer):
		return handshake.ReasonUpstreamMalformed
	case errors.Is(err, handshake.ErrBadHead):
		return handshake.ReasonMalformed
	case attempt != nil && (attempt.Stage == StageTLS || isPeersWord(attempt.Err)):
		return handshake.ReasonUpstreamTLS
	default:
		return handshake.ReasonUpstreamUnreachable
	}
}

// AddressOf returns the address of the attempt that failed with err, which the
// next one should avoid; empty where there is none.
func AddressOf(err error) string {
	if refused, ok := errors.AsType[*Refused](err); ok {
		return refused.Address
	}
	if attempt, ok := errors.AsType[*AttemptError](err); ok {
		return attempt.Address
	}
	return ""
}
