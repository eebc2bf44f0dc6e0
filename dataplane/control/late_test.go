// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestWhatNobodyWaitsForIsNotDone(t *testing.T) {
	left, leave := context.WithCancel(t.Context())
	leave()
	over, end := context.WithDeadline(t.Context(), time.Now())
	defer end()
	for what, test := range map[string]struct {
		ctx      context.Context
		notAfter *timestamppb.Timestamp
		want     codes.Code
	}{
		"in time":                      {t.Context(), timestamppb.New(time.Now().Add(time.Hour)), codes.OK},
		"with no time":                 {t.Context(), nil, codes.OK},
		"too late":                     {t.Context(), timestamppb.New(time.Now().Add(-time.Second)), codes.DeadlineExceeded},
		"the caller has left":          {left, nil, codes.Canceled},
		"the deadline is over":         {over, nil, codes.DeadlineExceeded},
		"in time, but nobody is there": {left, timestamppb.New(time.Now().Add(time.Hour)), codes.Canceled},
	} {
		if got := status.Code(late(test.ctx, test.notAfter)); got != test.want {
			t.Errorf("%s: %v, want %v", what, got, test.want)
		}
	}
}
