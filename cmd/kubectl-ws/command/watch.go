// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/rates"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/screen"
)

// minRefresh is the shortest pause between two looks at a fleet: each of them asks every
// pod.
const minRefresh = 500 * time.Millisecond

// refreshing is how a table is kept up to date.
type refreshing struct {
	watch bool
	every time.Duration
}

func (r *refreshing) addFlags(command *cobra.Command) {
	command.Flags().BoolVarP(&r.watch, "watch", "w", false, "Refresh the table until interrupted.")
	command.Flags().DurationVar(&r.every, "refresh", 2*time.Second, "How long to wait between two looks at the connections. Rates are measured in between.")
}

func (r *refreshing) check() error {
	if r.every < minRefresh {
		return fmt.Errorf("--refresh must be at least %v", minRefresh)
	}
	return nil
}

// pause returns false where the command is over.
func (r *refreshing) pause(ctx context.Context) bool { return sleep(ctx, r.every) == nil }

func isOver(ctx context.Context) bool { return ctx.Err() != nil }

// measure looks twice.
func (r *refreshing) measure(ctx context.Context, s *survey) (*round, error) {
	if _, err := s.look(ctx); err != nil {
		return nil, err
	}
	if !r.pause(ctx) {
		return nil, context.Cause(ctx)
	}
	return s.look(ctx)
}

// run shows one round after the other, until it is interrupted, or fails in a way that
// will not pass.
func (r *refreshing) run(ctx context.Context, in *session, s *survey, text func(*round) (string, error)) error {
	display := screen.New(in.streams.Out)
	in.warnings.hold = display.InPlace()
	for first := true; first || r.pause(ctx); first = false {
		seen, err := s.look(ctx)
		switch {
		case isOver(ctx):
			return nil
		case err == nil:
			below, err := text(seen)
			if err != nil {
				return err
			}
			for _, err := range seen.missing {
				below += explain(err) + "\n"
			}
			if err := display.Show(seen.headline(in.now()) + "\n" + in.warnings.lines() + below); err != nil {
				return err
			}
		case first || !isPassing(err):
			return err
		case display.InPlace():
			if err := display.Show(explain(err) + "\n"); err != nil {
				return err
			}
		default:
			fmt.Fprintln(in.streams.ErrOut, explain(err))
		}
	}
	return nil
}

// headline is what all of them do together.
func (r *round) headline(now time.Time) string {
	text := fmt.Sprintf("%s  %d connections", now.Format(time.TimeOnly), r.connections)
	if r.measured {
		text += fmt.Sprintf("  %s msg/s  %s/s", rates.PerSecond(r.rates.Messages()), rates.BytesPerSecond(r.rates.Bytes()))
	}
	return text
}
