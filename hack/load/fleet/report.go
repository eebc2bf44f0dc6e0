// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"strings"
	"time"
)

// Totals are the sums over a fleet at one moment.
type Totals struct {
	// Wanted is the number of connections asked for; Opened of those whose
	// handshake succeeded, Failed of those whose did not.
	Wanted int `json:"wanted"`
	Opened int `json:"opened"`
	Failed int `json:"failed"`
	// Open is the number of those that are open now; ClosedEarly of those that
	// ended before the fleet closed them.
	Open        int `json:"open"`
	ClosedEarly int `json:"closedEarly"`
	// Over is true where nobody is connected, and nobody will be.
	Over bool `json:"over"`
	// EarlyCode is the close code of one of those, 0 where there is none.
	EarlyCode int `json:"earlyCode,omitempty"`

	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	// Outstanding may still come while a connection is open. Overtaken did not
	// come although a later message did: they are lost. Missing is both, and the
	// loss once a fleet has stopped.
	Outstanding uint64 `json:"outstanding"`
	Overtaken   uint64 `json:"overtaken"`
	Missing     uint64 `json:"missing"`
	Duplicated  uint64 `json:"duplicated"`
	OutOfOrder  uint64 `json:"outOfOrder"`
	// Foreign counts messages that were never sent like that.
	Foreign uint64 `json:"foreign"`
	Pings   uint64 `json:"pings"`

	// Median, P99 and Longest say how long echoes took, in nanoseconds; the
	// first two are rounded up to a bucket, at most to twice the true value.
	Median  time.Duration `json:"medianNanoseconds"`
	P99     time.Duration `json:"p99Nanoseconds"`
	Longest time.Duration `json:"longestNanoseconds"`
}

// Record is what happened to one connection.
type Record struct {
	Number int `json:"number"`
	// ID is the name that the server gave the connection; empty without one.
	ID     string    `json:"id,omitempty"`
	Opened time.Time `json:"opened,omitzero"`
	Closed time.Time `json:"closed,omitzero"`
	// Failure says why there was no handshake.
	Failure string `json:"failure,omitempty"`
	// Code and Reason of the close frame that ended the connection; 1006 and an
	// error where there was none; 0 while it is open.
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Early is true where it ended before the fleet closed it.
	Early bool `json:"early,omitempty"`

	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	// Outstanding are the newest of the missing: no later message came yet.
	Outstanding uint64 `json:"outstanding"`
	Missing     uint64 `json:"missing"`
	Duplicated  uint64 `json:"duplicated"`
	OutOfOrder  uint64 `json:"outOfOrder"`
	Foreign     uint64 `json:"foreign"`
	Pings       uint64 `json:"pings"`
	// LastReceived is when the last message came.
	LastReceived time.Time `json:"lastReceived,omitzero"`
	// Longest is the longest that an echo took, in nanoseconds.
	Longest time.Duration `json:"longestNanoseconds"`
}

// Report is the record of a whole fleet.
type Report struct {
	URL     string    `json:"url"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Totals  Totals    `json:"totals"`
	// Pods is the number of connections by the pod that their names lead to.
	Pods    map[string]int `json:"pods,omitempty"`
	Records []Record       `json:"records"`
}

// Totals sums up what has happened so far.
func (f *Fleet) Totals() Totals {
	t := Totals{Wanted: len(f.connections)}
	var echoes delays
	for _, c := range f.connections {
		c.mu.Lock()
		t.add(c)
		echoes.merge(&c.delays)
		c.mu.Unlock()
	}
	t.Over = t.Open == 0 && t.Opened+t.Failed == t.Wanted
	t.Median, t.P99, t.Longest = echoes.quantile(0.5), echoes.quantile(0.99), echoes.longest
	return t
}

// add needs c.mu.
func (t *Totals) add(c *connection) {
	switch {
	case c.failure != nil:
		t.Failed++
	case c.conn != nil:
		t.Opened++
	}
	switch {
	case c.conn == nil:
	case c.ended.IsZero():
		t.Open++
	case !c.saidClose:
		t.ClosedEarly++
		t.EarlyCode = c.code
	}
	l := &c.ledger
	t.Sent += l.sent
	t.Received += l.received()
	t.Outstanding += l.outstanding()
	t.Overtaken += l.overtaken()
	t.Missing += l.missing()
	t.Duplicated += l.duplicated
	t.OutOfOrder += l.outOfOrder
	t.Foreign += l.foreign
	t.Pings += c.pings
}

// Report tells what has happened so far, connection by connection.
func (f *Fleet) Report() *Report {
	r := &Report{URL: f.options.URL, Started: f.start, Ended: time.Now(), Totals: f.Totals(), Pods: map[string]int{}}
	for _, c := range f.connections {
		record := c.record()
		r.Records = append(r.Records, record)
		// "<pod id>-<sequence>"
		if i := strings.LastIndexByte(record.ID, '-'); i > 0 {
			r.Pods[record.ID[:i]]++
		}
	}
	return r
}

func (c *connection) record() Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Record{
		Number: c.number, ID: c.id, Opened: c.opened, Closed: c.ended, Code: c.code, Reason: c.reason,
		Early: c.conn != nil && !c.ended.IsZero() && !c.saidClose,
		Sent:  c.ledger.sent, Received: c.ledger.received(), Outstanding: c.ledger.outstanding(), Missing: c.ledger.missing(),
		Duplicated: c.ledger.duplicated, OutOfOrder: c.ledger.outOfOrder, Foreign: c.ledger.foreign,
		Pings: c.pings, LastReceived: c.heard, Longest: c.delays.longest,
	}
	if c.failure != nil {
		r.Failure = c.failure.Error()
	}
	return r
}

// CheckOpen returns an ErrClosed where a connection could not be opened, or
// ended before the fleet closed it, with one of them as an example.
func (r *Report) CheckOpen() error {
	if r.Totals.Failed+r.Totals.ClosedEarly == 0 {
		return nil
	}
	example := ""
	for _, record := range r.Records {
		if record.Failure != "" {
			example = "handshake: " + record.Failure
			break
		}
		if record.Early {
			example = fmt.Sprintf("%s with code %d %q at %s", record.ID, record.Code, record.Reason, record.Closed.Format(time.TimeOnly))
			break
		}
	}
	return fmt.Errorf("%w: %d of %d ended early, %d never opened; one of them: %s",
		ErrClosed, r.Totals.ClosedEarly, r.Totals.Wanted, r.Totals.Failed, example)
}

// CheckAll returns an ErrLost where a message did not come back whole, in order
// and once.
func (r *Report) CheckAll() error {
	t := r.Totals
	if t.Missing+t.Duplicated+t.OutOfOrder+t.Foreign == 0 {
		return nil
	}
	return fmt.Errorf("%w: of %d sent %d missing, %d duplicated, %d out of order; %d foreign",
		ErrLost, t.Sent, t.Missing, t.Duplicated, t.OutOfOrder, t.Foreign)
}

// String is one line for a terminal.
func (t Totals) String() string {
	early := fmt.Sprint(t.ClosedEarly)
	if t.ClosedEarly > 0 {
		early += fmt.Sprintf(" (code %d)", t.EarlyCode)
	}
	return fmt.Sprintf("open %d/%d  closed early %s  failed %d  sent %d  received %d  outstanding %d  lost %d  doubled %d  disordered %d  foreign %d  pings %d  echo %s/%s/%s",
		t.Open, t.Wanted, early, t.Failed, t.Sent, t.Received, t.Outstanding, t.Overtaken, t.Duplicated, t.OutOfOrder, t.Foreign, t.Pings,
		t.Median.Round(time.Millisecond/10), t.P99.Round(time.Millisecond/10), t.Longest.Round(time.Millisecond/10))
}
