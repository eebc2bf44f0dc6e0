// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// list yields the pod's connections with names greater than after, in the order
// of their names: at most limit of them, or all where limit is 0. It ends after
// an error, which is errRemoved, errReplaced or *Unanswered.
func (p *Pod) list(ctx context.Context, after string, limit int32) iter.Seq2[*dataplanev1alpha1.Connection, error] {
	return func(yield func(*dataplanev1alpha1.Connection, error) bool) {
		leave, err := p.enter(ctx)
		if err != nil {
			yield(nil, p.unlisted(err))
			return
		}
		learned := unclear
		defer func() { leave(learned) }()
		late := fmt.Errorf("no answer within %v", p.timeout)
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		// A pod with many connections may take longer than the timeout for all of
		// them, but not for the next.
		timer := time.AfterFunc(p.timeout, func() { cancel(late) })
		defer timer.Stop()
		fail := func(err error) {
			if context.Cause(ctx) == late { //nolint:errorlint // The very value from above is meant.
				err, learned = fmt.Errorf("%w: %w", context.DeadlineExceeded, late), timedOut
			}
			yield(nil, p.unlisted(err))
		}
		stream, err := p.client.List(ctx, &dataplanev1alpha1.ListRequest{After: after, Limit: limit}, p.waits())
		if err != nil {
			fail(err)
			return
		}
		for {
			chunk, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				learned = answered
				p.answers()
				return
			}
			if err != nil {
				fail(err)
				return
			}
			timer.Reset(p.timeout)
			p.calls.learn(answered)
			now := time.Now()
			for _, c := range chunk.GetConnections() {
				if err := errors.Join(p.inOrder(c.GetName(), after), check(c, now)); err != nil {
					yield(nil, p.nonsense(err))
					return
				}
				after = c.GetName()
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

// inOrder refuses a name that is not of this pod, or not the next one. Lists are
// continued after a name, so a pod that answers nonsense could make them skip
// the connections of others, or never end.
func (p *Pod) inOrder(name, after string) error {
	if _, _, ok := dataplanev1alpha1.ParseName(name); !ok || !strings.HasPrefix(name, p.Prefix) || name <= after {
		return fmt.Errorf("it lists %q after %q", name, after)
	}
	return nil
}

// unlisted is explain for a list, which a pod has no reason to refuse.
func (p *Pod) unlisted(err error) error {
	err = p.explain(err)
	var missing *Unanswered
	if errors.Is(err, errRemoved) || errors.Is(err, errReplaced) || errors.As(err, &missing) {
		return err
	}
	return p.nonsense(err)
}
