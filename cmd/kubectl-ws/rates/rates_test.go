// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package rates

import (
	"testing"
	"time"
)

func TestRatesAreMeasuredBetweenTwoRounds(t *testing.T) {
	var m Meter
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m.Turn()
	for _, key := range []string{"stays", "leaves"} {
		if _, ok := m.See(key, Sample{At: begin, FromClient: Counts{10, 1000}, FromUpstream: Counts{1, 5}}); ok {
			t.Errorf("%s has rates when it is seen for the first time", key)
		}
	}
	m.Turn()
	got, ok := m.See("stays", Sample{At: begin.Add(4 * time.Second), FromClient: Counts{30, 3048}, FromUpstream: Counts{3, 5}})
	if want := (Rates{Rate{5, 512}, Rate{0.5, 0}}); !ok || got != want {
		t.Errorf("%v %v, want %v", got, ok, want)
	}
	if got.Messages() != 5.5 || got.Bytes() != 512 {
		t.Errorf("both sides: %v messages, %v bytes", got.Messages(), got.Bytes())
	}
	if twice := got.Plus(got); twice.Messages() != 11 || twice.Bytes() != 1024 {
		t.Errorf("twice that: %v", twice)
	}
	m.Turn()
	if got, ok := m.See("leaves", Sample{At: begin.Add(8 * time.Second)}); ok {
		t.Errorf("rates since the round before the last one: %v", got)
	}
	if got, ok := m.See("stays", Sample{At: begin.Add(4 * time.Second)}); ok {
		t.Errorf("rates of no time: %v", got)
	}
}

func TestRatesAreShort(t *testing.T) {
	for rate, want := range map[float64][2]string{
		0:       {"0", "0B"},
		0.04:    {"0", "0B"},
		0.5:     {"0.5", "0.5B"},
		12:      {"12.0", "12.0B"},
		99.96:   {"100", "100B"},
		999.4:   {"999", "999B"},
		999.5:   {"1.0k", "1000B"},
		1023.5:  {"1.0k", "1.0Ki"},
		123_456: {"123k", "121Ki"},
		5 << 20: {"5.2M", "5.0Mi"},
		3e18:    {"3000000T", "2728484Ti"},
	} {
		if got := [2]string{PerSecond(rate), BytesPerSecond(rate)}; got != want {
			t.Errorf("%v is shown as %q, want %q", rate, got, want)
		}
	}
}
