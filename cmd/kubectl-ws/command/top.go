// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// orders are what connections can be sorted by, the largest or oldest first.
var orders = map[string]func(a, b row) int{
	"message-rate": func(a, b row) int { return cmp.Compare(b.rates.Messages(), a.rates.Messages()) },
	"byte-rate":    func(a, b row) int { return cmp.Compare(b.rates.Bytes(), a.rates.Bytes()) },
	"messages":     func(a, b row) int { return cmp.Compare(b.messages, a.messages) },
	"bytes":        func(a, b row) int { return cmp.Compare(b.bytes, a.bytes) },
	"age":          func(a, b row) int { return a.connectedAt.Compare(b.connectedAt) },
}

// topColumns are those of top; the others are in the wide table.
var topColumns = []string{"Name", "Proxy", "Client", columnMessageRate, columnByteRate, "Messages", "Bytes", "Age"}

type top struct {
	*list
	by    string
	limit int
}

func newTop(s *session) *cobra.Command {
	t := &top{list: &list{session: s, output: newOutput()}}
	command := &cobra.Command{
		Use:   "top [-l SELECTOR] [--sort-by=message-rate] [-w]",
		Short: "Show the connections that do most, or are oldest",
		Long: "Looks at the connections twice and shows those with most messages or bytes, in a second or in all, or\n" +
			"those that have been open for longest. With -w it goes on.",
		Example: `  # Who sends most?
  kubectl ws top -l wsproxy.io/proxy=chat -w

  # The ten that have transferred most
  kubectl ws top -A --sort-by=bytes --limit=10`,
		Args: cobra.NoArgs,
		RunE: t.run,
	}
	t.addFlags(command)
	command.Flags().StringVar(&t.by, "sort-by", "message-rate", "Sort by one of: "+strings.Join(slices.Sorted(maps.Keys(orders)), ", ")+".")
	command.Flags().IntVar(&t.limit, "limit", 20, "Show so many. Pass 0 to show all.")
	return command
}

func (t *top) run(command *cobra.Command, _ []string) error {
	ctx := command.Context()
	order, known := orders[t.by]
	tabular, _ := t.output.table()
	switch {
	case !known:
		return fmt.Errorf("--sort-by must be one of: %s", strings.Join(slices.Sorted(maps.Keys(orders)), ", "))
	case t.limit < 0:
		return errors.New("--limit must not be negative")
	case !tabular:
		return errors.New("top prints tables only: -o wide, or none")
	}
	survey, err := t.survey(nil)
	if err != nil {
		return err
	}
	survey.trim = func(rows []row) []row {
		slices.SortStableFunc(rows, order)
		if t.limit > 0 && len(rows) > t.limit {
			rows = slices.Delete(rows, t.limit, len(rows))
		}
		return rows
	}
	if t.refreshing.watch {
		return t.refreshing.run(ctx, t.session, survey, func(r *round) (string, error) { return t.text(arrange(r.withRates(), topColumns...)) })
	}
	r, err := t.refreshing.measure(ctx, survey)
	if err != nil {
		return err
	}
	return t.print(survey, arrange(r.withRates(), topColumns...), r.missing)
}
