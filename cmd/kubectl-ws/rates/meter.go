// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package rates

import "time"

// Counts are what has come from one side until a moment.
type Counts struct{ Messages, Bytes int64 }

// Sample is one look at the counters of something.
type Sample struct {
	At                       time.Time
	FromClient, FromUpstream Counts
}

// Rate is what comes from one side in a second.
type Rate struct{ Messages, Bytes float64 }

// Rates are those of both sides.
type Rates struct{ FromClient, FromUpstream Rate }

// Messages is how many come in a second from both sides.
func (r Rates) Messages() float64 { return r.FromClient.Messages + r.FromUpstream.Messages }

// Bytes is how many come in a second from both sides.
func (r Rates) Bytes() float64 { return r.FromClient.Bytes + r.FromUpstream.Bytes }

// Plus is what comes from two connections together.
func (r Rates) Plus(other Rates) Rates {
	return Rates{r.FromClient.plus(other.FromClient), r.FromUpstream.plus(other.FromUpstream)}
}

func (r Rate) plus(other Rate) Rate {
	return Rate{r.Messages + other.Messages, r.Bytes + other.Bytes}
}

// Meter remembers the samples of two rounds. The zero Meter is ready. It is for one
// goroutine.
type Meter struct{ before, now map[string]Sample }

// Turn begins a round: what was not seen in the one before is forgotten.
func (m *Meter) Turn() { m.before, m.now = m.now, make(map[string]Sample, len(m.now)) }

// See takes the sample of a key in this round and returns the rates since that of the
// last round, or false where there was none.
func (m *Meter) See(key string, s Sample) (Rates, bool) {
	m.now[key] = s
	last, ok := m.before[key]
	elapsed := s.At.Sub(last.At).Seconds()
	if !ok || elapsed <= 0 {
		return Rates{}, false
	}
	return Rates{
		FromClient:   rate(last.FromClient, s.FromClient, elapsed),
		FromUpstream: rate(last.FromUpstream, s.FromUpstream, elapsed),
	}, true
}

func rate(before, now Counts, seconds float64) Rate {
	return Rate{
		Messages: float64(now.Messages-before.Messages) / seconds,
		Bytes:    float64(now.Bytes-before.Bytes) / seconds,
	}
}
