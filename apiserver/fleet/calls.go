// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxCalls are under way to one pod at a time. A pod answers within
	// milliseconds, so that is thousands a second. More wait, as long as it goes on.
	maxCalls = 16
	// maxSends are those that wait for a client, or for a message of its upstream. They
	// take longer, and with the payload that they may have they are 8 MiB in the pod.
	maxSends = 64
	// silence is how long a pod that did not answer is not asked again. It is no
	// longer than what callers are told to wait.
	silence = time.Second
)

var (
	errBusy   = errors.New("has too many requests to answer already")
	errSilent = errors.New("gave no answer a moment ago")
)

// outcome is what a call says about the pod.
type outcome int

const (
	// unclear: the call ended for another reason, or the pod could not be reached.
	unclear outcome = iota
	answered
	timedOut
)

// calls bounds what is asked of one pod at a time, and remembers for a moment
// that it was silent. Then whoever asks is refused at once, but for a single call,
// which finds out whether the pod has come back.
type calls struct {
	// stall is how long nothing may begin or end before those who wait are refused,
	// so that a pod that hangs holds few requests from the beginning.
	stall time.Duration
	// slots has an element for each call that is under way.
	slots chan struct{}

	mu sync.Mutex
	// The fields below are guarded by mu. moved is when a call began or ended last.
	// silentUntil is zero when the last that is known of the pod is that it
	// answered; probing says that a call finds out.
	moved       time.Time
	silentUntil time.Time
	probing     bool
}

func newCalls(stall time.Duration, most int) *calls {
	return &calls{stall: stall, slots: make(chan struct{}, most)}
}

// enter lets a call begin, which must end with leave. The error is errBusy,
// errSilent, or that of ctx.
func (c *calls) enter(ctx context.Context) (leave func(outcome), err error) {
	if c.silent() {
		return nil, errSilent
	}
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	// While this one waited, the others may have found the pod silent.
	probe, err := c.admit()
	if err != nil {
		<-c.slots
		return nil, err
	}
	return func(o outcome) {
		c.learn(o)
		c.mu.Lock()
		c.moved = time.Now()
		c.probing = c.probing && !probe
		c.mu.Unlock()
		<-c.slots
	}, nil
}

// wait takes a slot.
func (c *calls) wait(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	for {
		left := c.patience()
		if left <= 0 {
			return errBusy
		}
		stalled := time.NewTimer(left)
		select {
		case c.slots <- struct{}{}:
			stalled.Stop()
			return nil
		case <-ctx.Done():
			stalled.Stop()
			return ctx.Err()
		case <-stalled.C:
		}
	}
}

// patience is how long it is still worth to wait if nothing moves.
func (c *calls) patience() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.moved.Add(c.stall))
}

func (c *calls) silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.silentLocked()
}

func (c *calls) silentLocked() bool {
	return !c.silentUntil.IsZero() && (c.probing || time.Now().Before(c.silentUntil))
}

func (c *calls) admit() (probe bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silentLocked() {
		return false, errSilent
	}
	c.moved = time.Now()
	c.probing = !c.silentUntil.IsZero()
	return c.probing, nil
}

// learn notes what a call that is under way has found out.
func (c *calls) learn(o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch o {
	case answered:
		c.silentUntil = time.Time{}
	case timedOut:
		c.silentUntil = time.Now().Add(silence)
	case unclear:
	}
}
