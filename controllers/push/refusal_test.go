// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestARefusalSaysWhatThePodSaidOrWhyItWasNotReached(t *testing.T) {
	w := &worker{pusher: &Pusher{options: Options{Timeout: 5 * time.Second}}}
	for _, c := range []struct {
		err  error
		code codes.Code
		says string
	}{
		{status.Error(codes.InvalidArgument, "listen.tls: no certificate"), codes.InvalidArgument, "listen.tls: no certificate"},
		{status.Error(codes.DeadlineExceeded, "context deadline exceeded"), codes.DeadlineExceeded, "no answer within 5s"},
		// With the port of our side it would be another message each time.
		{status.Error(codes.Unavailable, "error reading from server: read tcp 10.0.0.1:43210->10.0.0.2:8081: read: connection reset by peer"),
			codes.Unavailable, "error reading from server: read tcp 10.0.0.2:8081: read: connection reset by peer"},
		{status.Error(codes.Unavailable, "read tcp [fd00::1]:43210->[fd00::2]:8081: i/o timeout"), codes.Unavailable, "read tcp [fd00::2]:8081: i/o timeout"},
		{errors.New("not of gRPC"), codes.Unknown, "not of gRPC"},
	} {
		if got := w.refusal(c.err); got.Code != c.code || got.Message != c.says {
			t.Errorf("%v is %v %q, want %v %q", c.err, got.Code, got.Message, c.code, c.says)
		}
	}
}
