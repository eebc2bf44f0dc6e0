// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/rates"
)

// The columns that this program adds to those of the server, each "from the client /
// from the upstream", as the server's are.
const (
	columnMessageRate = "Msg/s"
	columnByteRate    = "B/s"
)

// unmeasured is in a column for rates in the first round that sees a connection.
const unmeasured = "-"

// plain is the table of a round as the server made it.
func (r *round) plain() *metav1.Table {
	table := &metav1.Table{ColumnDefinitions: r.columns}
	for _, one := range r.rows {
		table.Rows = append(table.Rows, one.TableRow)
	}
	return table
}

// withRates is plain with the columns of rates behind the column Messages, or at the end
// if a server has none.
func (r *round) withRates() *metav1.Table {
	at := slices.IndexFunc(r.columns, func(c metav1.TableColumnDefinition) bool { return c.Name == "Messages" }) + 1
	if at == 0 {
		at = len(r.columns)
	}
	table := &metav1.Table{ColumnDefinitions: slices.Insert(slices.Clone(r.columns), at,
		metav1.TableColumnDefinition{Name: columnMessageRate, Type: "string", Description: "Messages in a second from the client / from the upstream."},
		metav1.TableColumnDefinition{Name: columnByteRate, Type: "string", Description: "Bytes in a second from the client / from the upstream."},
	)}
	for _, one := range r.rows {
		messages, bytes := unmeasured, unmeasured
		if one.measured {
			messages, bytes = both(one.rates, rates.PerSecond, func(r rates.Rate) float64 { return r.Messages }), both(one.rates, rates.BytesPerSecond, func(r rates.Rate) float64 { return r.Bytes })
		}
		line := one.TableRow
		line.Cells = slices.Insert(slices.Clone(line.Cells), min(at, len(line.Cells)), any(messages), any(bytes))
		table.Rows = append(table.Rows, line)
	}
	return table
}

func both(r rates.Rates, text func(float64) string, of func(rates.Rate) float64) string {
	return text(of(r.FromClient)) + " / " + text(of(r.FromUpstream))
}

// arrange moves the named columns of a table to the front, in that order, and shows them
// always; the others only where the table is wide. It returns the same table.
func arrange(table *metav1.Table, names ...string) *metav1.Table {
	var order []int
	for _, name := range names {
		if i := slices.IndexFunc(table.ColumnDefinitions, func(c metav1.TableColumnDefinition) bool { return strings.EqualFold(c.Name, name) }); i >= 0 {
			order = append(order, i)
		}
	}
	first := len(order)
	for i := range table.ColumnDefinitions {
		if !slices.Contains(order[:first], i) {
			order = append(order, i)
		}
	}
	columns := make([]metav1.TableColumnDefinition, len(order))
	for to, from := range order {
		columns[to] = table.ColumnDefinitions[from]
		columns[to].Priority = 0
		if to >= first {
			columns[to].Priority = 1
		}
	}
	table.ColumnDefinitions = columns
	for i, line := range table.Rows {
		cells := make([]any, len(order))
		for to, from := range order {
			if from < len(line.Cells) {
				cells[to] = line.Cells[from]
			}
		}
		table.Rows[i].Cells = cells
	}
	return table
}
