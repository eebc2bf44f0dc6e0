// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestTimesAreReadAsTheyWereWritten(t *testing.T) {
	at := func(micros int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMicro(micros)) }
	for _, want := range []times{
		{},
		{at(1767323045_123456), at(1767323046_000000), at(1767323046_123456), at(1767323046_123457)},
		{nil, at(1767323045_123456), nil, at(1)},
		{at(0), nil, nil, nil},
		{at(-1), at(math.MaxInt64 / 4), at(math.MinInt64 / 4), nil},
	} {
		written := append(want.append([]byte("before")), "after"...)
		got, rest := takeTimes(written[len("before"):])
		if string(rest) != "after" {
			t.Errorf("%v leaves %q", want, rest)
		}
		for i := range want {
			if (got[i] == nil) != (want[i] == nil) || want[i] != nil && !got[i].AsTime().Equal(want[i].AsTime()) {
				t.Errorf("time %d is %v, want %v", i, got[i], want[i])
			}
		}
	}
	ordinary := times{at(1767323045_123456), at(1767383046_123456), at(1767383046_123999), at(1767383046_124999)}
	if n := len(ordinary.append(nil)); n > 20 {
		t.Errorf("ordinary ones take %d bytes", n)
	}
}
