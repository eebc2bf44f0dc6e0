// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

func TestAnswerTellsTheClientLittleAndTheLogWhy(t *testing.T) {
	at := func(stage Stage, err error) error {
		return &AttemptError{Stage: stage, Address: "10.0.0.7:80", Err: err}
	}
	reset := os.NewSyscallError("read", syscall.ECONNRESET)
	for _, test := range []struct {
		err    error
		status int
		reason handshake.Reason
	}{
		{ErrNoEndpoints, 502, handshake.ReasonNoEndpoints},
		{at(StageDial, syscall.ECONNREFUSED), 502, handshake.ReasonUpstreamUnreachable},
		{at(StageDial, context.DeadlineExceeded), 504, handshake.ReasonUpstreamTimeout},
		{at(StageDial, os.NewSyscallError("socket", syscall.EMFILE)), 503, handshake.ReasonNoDescriptors},
		{at(StageTLS, errors.New("unknown authority")), 502, handshake.ReasonUpstreamTLS},
		{at(StageTLS, os.ErrDeadlineExceeded), 504, handshake.ReasonUpstreamTimeout},
		// With TLS 1.3 a client certificate that is refused is heard of by who reads.
		{at(StageHandshake, fmt.Errorf("read: %w", &net.OpError{Op: "remote error", Err: tls.AlertError(42)})), 502, handshake.ReasonUpstreamTLS},
		{at(StageHandshake, reset), 502, handshake.ReasonUpstreamUnreachable},
		{at(StageHandshake, fmt.Errorf("%w: no HTTP", ErrBadAnswer)), 502, handshake.ReasonUpstreamMalformed},
		{at(StageHandshake, handshake.ErrBadHead), 502, handshake.ReasonMalformed},
	} {
		if got := Answer(test.err); got.Status != test.status || got.Reason != test.reason {
			t.Errorf("%v: %d %s, want %d %s", test.err, got.Status, got.Reason, test.status, test.reason)
		}
	}
}
