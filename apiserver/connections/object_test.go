// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

func TestVersionsGrowWithTheLifeOfAConnection(t *testing.T) {
	last := int64(0)
	for i, step := range []struct {
		phase      dataplanev1alpha1.Phase
		reconnects int32
	}{
		{dataplanev1alpha1.Phase_PHASE_CONNECTING, 0},
		{dataplanev1alpha1.Phase_PHASE_OPEN, 0},
		{dataplanev1alpha1.Phase_PHASE_RECONNECTING, 0},
		{dataplanev1alpha1.Phase_PHASE_OPEN, 1},
		{dataplanev1alpha1.Phase_PHASE_RECONNECTING, 1},
		{dataplanev1alpha1.Phase_PHASE_OPEN, 2},
		{dataplanev1alpha1.Phase_PHASE_CLOSING, 2},
	} {
		c := &dataplanev1alpha1.Connection{
			ConnectedAt: timestamppb.New(time.Unix(1767323045, 0)), Phase: step.phase, Reconnects: step.reconnects,
			// Traffic is no change.
			LastActiveAt: timestamppb.New(time.Unix(1767323045+int64(i), 0)), FromClient: &dataplanev1alpha1.Traffic{Messages: int64(100 - i)},
		}
		version, err := strconv.ParseInt(versionOf(c), 10, 64)
		if err != nil || version <= last {
			t.Errorf("%s after %d at step %d: %v", versionOf(c), last, i, err)
		}
		last = version
	}
	if v := versionOf(&dataplanev1alpha1.Connection{Phase: dataplanev1alpha1.Phase_PHASE_OPEN}); v != "2" {
		t.Errorf("without a time: %s", v)
	}
}

func TestHowLongAConnectionLasted(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 7 * time.Millisecond: "7ms", 1999 * time.Millisecond: "1.999s", 2 * time.Second: "2s", 90 * time.Minute: "90m", 50 * time.Hour: "2d2h",
	} {
		if got := lasted(d); got != want {
			t.Errorf("%d ms are %q, want %q", d.Milliseconds(), got, want)
		}
	}
}

func TestNumbersInTables(t *testing.T) {
	for n, want := range map[int64][2]string{
		0:           {"0", "0B"},
		999:         {"999", "999B"},
		1000:        {"1.0k", "1000B"},
		1024:        {"1.0k", "1.0Ki"},
		12_345:      {"12.3k", "12.1Ki"},
		999_999:     {"1.0M", "977Ki"},
		5 << 20:     {"5.2M", "5.0Mi"},
		123_456_789: {"123M", "118Mi"},
		99_949_999:  {"99.9M", "95.3Mi"},
		9e18:        {"9000000T", "8185452Ti"},
	} {
		if got := [2]string{count(n), size(n)}; got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
