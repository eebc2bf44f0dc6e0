// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// workers ask at a time. The server lets a user make 50 changes a second, and each
	// takes some milliseconds.
	workers = 8
	// maxTries is how often a connection is asked for that cannot be reached; as often
	// as client-go repeats a request.
	maxTries = 10
)

// bulk ends connections, and keeps to the pace that the server asks for.
type bulk struct {
	end func(context.Context, target) (*unstructured.Unstructured, error)
	// selected says that nobody named the connections: then one that ends by itself
	// before its turn is no failure.
	selected bool
	report   *report
	// interval is the least time between two; 0: as fast as the server lets them.
	interval time.Duration

	mu sync.Mutex
	// until, guarded by mu, is when the server wants to hear of this user again.
	until time.Time
}

// run returns when all have ended, or cannot be, or ctx is done.
func (b *bulk) run(ctx context.Context, targets []target) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	next := make(chan target)
	var working sync.WaitGroup
	for range min(workers, len(targets)) {
		working.Go(func() {
			for t := range next {
				if err := b.one(ctx, t); b.concernsAll(err) {
					stop()
				}
			}
		})
	}
	for i, t := range targets {
		if i > 0 && b.interval > 0 {
			// Whoever is interrupted meanwhile sees it below.
			_ = sleep(ctx, b.interval)
		}
		select {
		case next <- t:
		case <-ctx.Done():
		}
	}
	close(next)
	working.Wait()
	b.report.end()
}

// one ends a connection, and reports what became of it, unless ctx is done before: then
// it is left. What it returns has been reported.
func (b *bulk) one(ctx context.Context, t target) error {
	for try := 1; ; try++ {
		if err := b.pace(ctx); err != nil {
			return err
		}
		object, err := b.end(ctx, t)
		seconds, later := apierrors.SuggestsClientDelay(err)
		wait := time.Duration(seconds) * time.Second
		switch {
		case err == nil:
			return b.report.done(object)
		case ctx.Err() != nil:
			return ctx.Err()
		case later && apierrors.IsTooManyRequests(err):
			// All wait, and however often: it goes on, as fast as it may.
			b.slow(wait)
		case later && try < maxTries:
			if err := sleep(ctx, wait); err != nil {
				return err
			}
		case b.selected && apierrors.IsNotFound(err):
			b.report.hasGone()
			return nil
		case b.selected && apierrors.IsConflict(err):
			b.report.isClosing()
			return nil
		default:
			b.report.failure(err)
			return err
		}
	}
}

// concernsAll reports whether what failed for one connection fails for all: there is no
// server, or no right, or, because the server knows the names that it has listed, the code
// or the reason is not one.
func (b *bulk) concernsAll(err error) bool {
	if err == nil {
		return false
	}
	return apierrors.ReasonForError(err) == metav1.StatusReasonUnknown || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) ||
		b.selected && apierrors.IsInvalid(err)
}

// pace waits until the server wants to hear more.
func (b *bulk) pace(ctx context.Context) error {
	for {
		b.mu.Lock()
		wait := time.Until(b.until)
		b.mu.Unlock()
		if wait <= 0 {
			return ctx.Err()
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (b *bulk) slow(wait time.Duration) {
	b.mu.Lock()
	if until := time.Now().Add(wait); until.After(b.until) {
		b.until = until
	}
	b.mu.Unlock()
	b.report.waits(wait)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
