// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/wsproxy/wsproxy/hack/bench/results"
	"github.com/wsproxy/wsproxy/hack/bench/stats"
)

// section is a part of a report.
type section struct {
	title string
	// note says how to read it.
	note   string
	tables []table
}

// Text returns the report for a terminal.
func Text(set *results.Set) string {
	var b strings.Builder
	b.WriteString(strings.Join(set.About, "\n") + "\n")
	for _, s := range sections(set) {
		b.WriteString("\n" + strings.ToUpper(s.title) + "\n" + s.note + "\n")
		for _, t := range s.tables {
			b.WriteString("\n" + t.text())
		}
	}
	b.WriteString(failures(set))
	return b.String()
}

// Markdown returns the report for a file, with the plots beside it.
func Markdown(set *results.Set, plots []string) string {
	var b strings.Builder
	b.WriteString("# wsproxy benchmark\n\n")
	for _, line := range set.About {
		b.WriteString("- " + line + "\n")
	}
	b.WriteString("\n")
	for _, peer := range set.Peers {
		b.WriteString("- `" + peer + "`: " + set.Titles[peer] + "\n")
	}
	for _, s := range sections(set) {
		b.WriteString("\n## " + s.title + "\n\n" + s.note + "\n")
		for _, t := range s.tables {
			b.WriteString("\n" + t.markdown())
		}
	}
	b.WriteString(failures(set))
	if len(plots) > 0 {
		b.WriteString("\n## Plots\n\n")
	}
	for _, plot := range plots {
		b.WriteString("![" + strings.TrimSuffix(plot, ".svg") + "](" + plot + ")\n\n")
	}
	return b.String()
}

func sections(set *results.Set) []section {
	var all []section
	for _, s := range []section{targets(set), medians(set), ratios(set), rates(set), harness(set)} {
		// A table of nothing but its head says nothing.
		s.tables = slices.DeleteFunc(s.tables, func(t table) bool { return len(t) == 1 })
		if len(s.tables) > 0 {
			all = append(all, s)
		}
	}
	return all
}

func targets(set *results.Set) section {
	t := table{{"target", "limit", "peer", "found", "95 % interval", "rounds", "verdict"}}
	titles := titlesOf(set)
	for _, peer := range set.Ours {
		for _, j := range Judge(set, peer) {
			limit := "≤ " + number(j.Limit)
			if j.Against != "" {
				limit += " × " + j.Against
			}
			t = append(t, []string{titles[j.Row], limit, peer, number(j.Value), interval(j.Interval), strconv.Itoa(j.Rounds), string(j.Verdict)})
		}
	}
	return section{title: "Targets", tables: []table{t}, note: "A target is met when the lower end of the interval is at or below the limit. Ratios are medians of pairs within a round."}
}

// group is rows that are measured with the same peers, more or less.
type group struct {
	title string
	rows  []results.Row
}

// groupsOf keeps the tables narrow: there are peers that are in few rows.
func groupsOf(set *results.Set) []group {
	groups := []group{{title: ""}, {title: "latency"}, {title: "kept"}, {title: "tls"}}
	for _, row := range set.Rows {
		figure, _, _ := strings.Cut(row.ID, "-")
		at := max(0, slices.IndexFunc(groups, func(g group) bool { return g.title == figure }))
		groups[at].rows = append(groups[at].rows, row)
	}
	return slices.DeleteFunc(groups, func(g group) bool { return len(set.PeersOf(g.rows...)) == 0 })
}

// pivot is a table with a line for every row of a group and a column for every
// peer. Lines without any cell are left out.
func pivot(g group, head string, peers []string, cell func(row results.Row, peer string) string) table {
	t := table{append([]string{head, "unit"}, peers...)}
	for _, row := range g.rows {
		line, empty := []string{row.Title, row.Unit}, true
		for _, peer := range peers {
			text := cell(row, peer)
			empty = empty && text == ""
			line = append(line, text)
		}
		if !empty {
			t = append(t, line)
		}
	}
	return t
}

func medians(set *results.Set) section {
	s := section{title: "Medians", note: "CPU is user and system time of all processes of the proxy; memory is their proportional set size. Less is better."}
	for _, g := range groupsOf(set) {
		s.tables = append(s.tables, pivot(g, "median", set.PeersOf(g.rows...), func(row results.Row, peer string) string {
			return number(stats.Median(set.Values(row.ID, peer)))
		}))
	}
	return s
}

func ratios(set *results.Set) section {
	s := section{title: "Ours to others", note: "Medians of the ratios of pairs within a round, with their 95 % intervals. Below 1 ours is cheaper."}
	for _, g := range groupsOf(set) {
		present := set.PeersOf(g.rows...)
		for _, ours := range present {
			if !isOurs(set, ours) {
				continue
			}
			others := slices.DeleteFunc(slices.Clone(present), func(peer string) bool { return isOurs(set, peer) || peer == "direct" })
			s.tables = append(s.tables, pivot(g, ours+" to", others, func(row results.Row, other string) string {
				r := set.Ratios(row.ID, ours, other)
				switch {
				case r.Pairs == 0:
					return ""
				case r.Method == stats.None:
					return number(r.Median)
				}
				return number(r.Median) + " (" + interval(r.Interval) + ")"
			}))
		}
	}
	return s
}

// isOurs says whether a peer is ours, of whatever kind.
func isOurs(set *results.Set, peer string) bool {
	for _, ours := range set.Ours {
		if peer == ours || peer == ours+"-tls" || peer == ours+"-kept" {
			return true
		}
	}
	return false
}

func rates(set *results.Set) section {
	s := section{title: "Rates", note: "Units of work per second, with clients, proxy and backend on the same cores: the machine's more than the proxy's."}
	for _, g := range groupsOf(set) {
		for i := range g.rows {
			g.rows[i].Title, g.rows[i].Unit = strings.Replace(g.rows[i].Title, "CPU per ", "", 1), "1/s"
		}
		s.tables = append(s.tables, pivot(g, "per second", set.PeersOf(g.rows...), func(row results.Row, peer string) string {
			return known(stats.Median(set.Detail(row.ID, peer, "rate")))
		}))
	}
	return s
}

func harness(set *results.Set) section {
	s := section{title: "What clients and backend took", note: "CPU of clients + backend for the same work, to show that they are not the limit. The wss clients are in Go."}
	for _, g := range groupsOf(set) {
		s.tables = append(s.tables, pivot(g, "clients + backend", set.PeersOf(g.rows...), func(row results.Row, peer string) string {
			clients := known(stats.Median(set.Detail(row.ID, peer, "clients")))
			if clients == "" {
				return ""
			}
			return clients + " + " + known(stats.Median(set.Detail(row.ID, peer, "backend")))
		}))
	}
	return s
}

// known is a number, or nothing.
func known(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return number(v)
}

func failures(set *results.Set) string {
	var b strings.Builder
	for _, row := range set.Rows {
		if n := set.Dropped(row.ID); n > 0 {
			fmt.Fprintf(&b, "\n%s: %d samples dropped, for others used the machine meanwhile.\n", row.ID, n)
		}
	}
	for _, f := range set.Failures {
		fmt.Fprintf(&b, "\nFAILED: %s of %s in round %d: %s\n", f.Case, f.Peer, f.Round, f.Error)
	}
	return b.String()
}

func titlesOf(set *results.Set) map[string]string {
	titles := map[string]string{}
	for _, row := range set.Rows {
		titles[row.ID] = row.Title
	}
	return titles
}

// number writes three significant digits, and no fraction from a hundred on.
func number(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case abs >= 100:
		return thousands(strconv.FormatFloat(math.Round(v), 'f', 0, 64))
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// thousands puts commas into an integer.
func thousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

func interval(i stats.Interval) string {
	if math.IsNaN(i.Low) || i.Method == stats.None {
		return "–"
	}
	return number(i.Low) + " … " + number(i.High)
}
