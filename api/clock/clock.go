// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Stamp is a moment on such a clock, in microseconds since 1970-01-01 00:00 UTC;
// from 1 to the largest int64. In decimal it is a resourceVersion as client-go
// compares them.
//
// Microseconds, because the versions of lists and objects were microseconds of
// wall time before there was this clock: who holds one of those holds a lower one
// than any that comes now. A clock runs ahead of wall time by as much as it is
// read out faster than once in a microsecond, which no data plane does for long:
// a connection has a handful of changes in its life.
type Stamp int64

const (
	// MaxAhead is how far the clock of another may be ahead of this one. What is
	// further ahead is not followed: it would take everybody else along, and no
	// clock can go back. Nodes whose clocks are synchronized differ by
	// milliseconds; those whose clocks differ by seconds need repair.
	MaxAhead = 5 * time.Second

	// Lead is how far above wall time a clock starts, for the sake of a process
	// that was here before: a container that is restarted shall not stamp below
	// what its predecessor stamped. That one was ahead of wall time by as much as
	// the clocks of those who asked it were, commonly milliseconds, and a quarter
	// of a second where one of two nodes smears a leap second. A predecessor that
	// was further ahead, or a wall clock that was set back in between, is left to
	// the callers: they move the clock when they first meet it, and nobody may
	// resume across a restart.
	//
	// It is no longer than that because the changes of the first Lead of a process
	// are shown only when all others have reached their stamps; a watch waits for
	// as long at any time, since pods report every 250 ms.
	Lead = 250 * time.Millisecond
)

// ErrAhead is the error of MovePast for a stamp that is more than MaxAhead ahead.
var ErrAhead = errors.New("too far ahead of the clock")

// Clock only moves forward: with every change that it stamps, with wall time when
// it is read, and past the clock of another that it is sent. It stands while wall
// time goes back. Any number of goroutines may use it, and none ever waits.
type Clock struct {
	wall func() time.Time
	boot Stamp
	last atomic.Int64
}

// New returns a clock that starts at Lead above wall time, which wall returns.
func New(wall func() time.Time) *Clock {
	c := &Clock{wall: wall}
	c.boot = c.wallTime() + Stamp(Lead.Microseconds())
	c.last.Store(int64(c.boot))
	return c
}

// Boot is where the clock started: every Tick is above.
func (c *Clock) Boot() Stamp { return c.boot }

// Tick returns the stamp of a change: above everything that the clock has ever
// returned, and at or above wall time.
func (c *Clock) Tick() Stamp {
	wall := c.wallTime()
	return c.raise(func(last Stamp) Stamp { return max(last+1, wall) })
}

// Last is the highest that the clock has ever returned; reading it moves nothing.
// Who moved the clock past a stamp finds it above that for ever, and where nobody
// did it may be below although wall time is not.
func (c *Clock) Last() Stamp { return Stamp(c.last.Load()) }

// Now moves the clock up to wall time and reads it. Every Tick so far is at or
// below, every later one above.
func (c *Clock) Now() Stamp {
	wall := c.wallTime()
	return c.raise(func(last Stamp) Stamp { return max(last, wall) })
}

// MovePast moves the clock past the clock of another, and reads it: every Tick so
// far is below what is returned, and every later one above that and above s. Only
// clocks of replicas belong here, never what their clients send. The error is
// ErrAhead, and then the clock has not followed. MaxAhead counts from where the
// clock stands, not from wall time: where that was set back, the clock keeps up
// with those who have the right one.
func (c *Clock) MovePast(s Stamp) (Stamp, error) {
	if now := c.Now(); s > now+Stamp(MaxAhead.Microseconds()) {
		return now, fmt.Errorf("%d is %w, %d, by more than %v", s, ErrAhead, now, MaxAhead)
	}
	return c.raise(func(last Stamp) Stamp { return max(last, s) + 1 }), nil
}

// raise stores what to makes of the latest stamp, and returns that.
func (c *Clock) raise(to func(last Stamp) Stamp) Stamp {
	for {
		last := c.last.Load()
		next := to(Stamp(last))
		if c.last.CompareAndSwap(last, int64(next)) {
			return next
		}
	}
}

// wallTime is positive also on a machine that believes to live before 1970.
func (c *Clock) wallTime() Stamp { return Stamp(max(c.wall().UnixMicro(), 1)) }
