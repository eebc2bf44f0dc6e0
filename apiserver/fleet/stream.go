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

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// errUnfollowed: the pod's clock is too far behind ours to follow it.
var errUnfollowed = errors.New("its clock is too far behind")

// listing is what a list of a pod is told and says apart from connections.
type listing struct {
	of Of
	// sourceIP is of which client; empty: of all.
	sourceIP string
	// sent is our clock, past which the pod moves its own; 0: it does not.
	sent clock.Stamp
	// process is what runs in the pod, and began where its clock was then; 0: it has
	// none.
	process string
	began   clock.Stamp
}

// list yields the pod's connections with names greater than after, in the order
// of their names: at most limit of them, or all where limit is 0. It ends after
// an error, which is errRemoved, errReplaced, errUnfollowed or *Unanswered.
func (p *Pod) list(ctx context.Context, after string, limit int32, about *listing) iter.Seq2[*dataplanev1alpha1.Connection, error] {
	return func(yield func(*dataplanev1alpha1.Connection, error) bool) {
		leave, err := p.enter(ctx, p.calls)
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
			if status.Code(err) == codes.FailedPrecondition && about.sent > 0 {
				p.problem("does not follow the clock of this server", err)
				yield(nil, errUnfollowed)
				return
			}
			if context.Cause(ctx) == late { //nolint:errorlint // The very value from above is meant.
				err, learned = fmt.Errorf("%w: %w", context.DeadlineExceeded, late), timedOut
			}
			yield(nil, p.unlisted(err))
		}
		list := p.client.List
		if about.of == Closed {
			list = p.client.ListClosed
		}
		stream, err := list(ctx, &dataplanev1alpha1.ListRequest{After: after, Limit: limit, Clock: int64(about.sent), SourceIp: about.sourceIP}, p.waits())
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
			about.process, about.began = chunk.GetPodId(), clock.Stamp(chunk.GetClock())
			now := time.Now()
			for _, c := range chunk.GetConnections() {
				if err := errors.Join(p.inOrder(c.GetName(), after), about.of.check(c, now)); err != nil {
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

// find returns the connection of that name as part of a list, so that the pod's clock
// is past the version. Names have 32 digits: so many have all but the last of them in
// common.
func (p *Pod) find(ctx context.Context, of Of, name string, version clock.Stamp) (found *dataplanev1alpha1.Connection, timely bool, err error) {
	about := listing{of: of, sent: version}
	for c, err := range p.list(ctx, name[:len(name)-1], int32(len(dataplanev1alpha1.NameDigits)), &about) {
		switch {
		case errors.Is(err, errUnfollowed):
			found, err := p.get(ctx, of, name)
			return found, false, err
		case err != nil:
			return nil, false, err
		case c.GetName() == name:
			found = c
		}
	}
	if found == nil {
		return nil, true, ErrUnknown
	}
	return found, true, nil
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
