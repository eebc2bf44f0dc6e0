// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// Connect gets a client its first upstream: one attempt, and maxRetries more,
// retryDelay apart, for as long as the failures are Retryable. Each attempt and
// each pause goes by what current returns then. An endpoint that has failed is
// passed over for those that have not been tried.
//
// onAttempt, unless nil, is told how each attempt ended, the first being number
// 0; err is nil for the one that succeeded. It must not keep a *Refused.
//
// The error is ctx's once ctx is done; else the last answer that any attempt
// got, a *Refused to be passed on and closed; else the last failure, for which
// see Answer. A body lives no longer than ctx.
func (d *Dialer) Connect(
	ctx context.Context, current func() *config.Config, head *handshake.Head, onAttempt func(n int, err error),
) (*Upstream, error) {
	return connect(ctx, current, onAttempt, func(ctx context.Context, cfg *config.Config, avoid ...string) (*Upstream, error) {
		return d.Dial(ctx, cfg, head, avoid...)
	})
}

// ConnectFrom is Connect with a first attempt that was begun already, whatever came
// of it.
func (d *Dialer) ConnectFrom(
	ctx context.Context, begun *Begun, current func() *config.Config, head *handshake.Head, onAttempt func(n int, err error),
) (*Upstream, error) {
	return connect(ctx, current, onAttempt, func(ctx context.Context, cfg *config.Config, avoid ...string) (*Upstream, error) {
		if first := begun; first != nil {
			begun = nil
			return first.finish(ctx, head)
		}
		return d.Dial(ctx, cfg, head, avoid...)
	})
}

type dialFunc func(ctx context.Context, cfg *config.Config, avoid ...string) (*Upstream, error)

func connect(ctx context.Context, current func() *config.Config, onAttempt func(int, error), dial dialFunc) (*Upstream, error) {
	var (
		answer *Refused // The last one; its body is kept.
		tried  []string
	)
	for n := 0; ; n++ {
		u, err := dial(ctx, current(), tried...)
		if onAttempt != nil {
			onAttempt(n, err)
		}
		if err == nil {
			return u, nil
		}
		refused, isAnswer := err.(*Refused) //nolint:errorlint // dial returns it as it is.
		if ctx.Err() != nil {
			if isAnswer {
				refused.Close()
			}
			return nil, context.Cause(ctx)
		}
		if !Retryable(err) || n >= current().MaxRetries {
			return nil, last(answer, err)
		}
		if isAnswer {
			refused.keep()
			answer = refused
		}
		if address := AddressOf(err); address != "" {
			tried = append(tried, address)
		}
		if err := pause(ctx, current().RetryDelay); err != nil {
			return nil, err
		}
	}
}

// last prefers an answer of the upstream, the latest, to a failure.
func last(answer *Refused, err error) error {
	if _, ok := err.(*Refused); ok || answer == nil { //nolint:errorlint // as above.
		return err
	}
	return answer
}

// pause waits for the delay and up to 20 % more by chance, so that those who
// failed together do not come back together. The error is ctx's, if that is done
// first.
func pause(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay + jitter(delay))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// jitter is 0 to 20 % of the delay.
func jitter(delay time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(delay/5) + 1)) // #nosec G404 -- nothing to be guessed.
}
