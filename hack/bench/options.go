// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/wsproxy/wsproxy/hack/bench/cases"
	"github.com/wsproxy/wsproxy/hack/bench/peers"
)

// options are the flags.
type options struct {
	cases.Scale
	figures, peers []string
	variants       []peers.Variant
	rounds         int
	maxForeign     float64
	retries        int
	quick          bool
	list           bool
	isolated       bool
	out            string
	programs       peers.Programs
}

func parse(args []string, usage io.Writer) (options, error) {
	o := options{Scale: cases.Default()}
	// A quick run has another scale, and its parts may be changed all the same.
	maxForeign := 0.05
	if slices.Contains(args, "--quick") || slices.Contains(args, "-quick") {
		// It is about whether everything works, on a machine that is busy, too.
		o.Scale, maxForeign = cases.Quick(), 1
	}
	var figures, names string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&figures, "figures", "", "`names` of figures or the beginning of them, by commas: roundtrip,idle,flood-down; empty: all")
	f.StringVar(&names, "peers", "", "`names` of peers, by commas; empty: all that are installed")
	f.Func("variant", "ours once more: `NAME=WORD…` with flags, ENV=VALUE or @/path/of/dataplane; may be repeated", func(text string) error {
		v, err := peers.ParseVariant(text)
		o.variants = append(o.variants, v)
		return err
	})
	f.BoolVar(&o.quick, "quick", false, "one round of everything at a small scale, to see that it works")
	f.IntVar(&o.rounds, "rounds", 0, "`number` of rounds (default 6, the least for an interval that assumes nothing; quick: 1)")
	f.Float64Var(&o.maxForeign, "max-foreign", maxForeign, "`share` of the machine that others may use while CPU is counted")
	f.IntVar(&o.retries, "retries", 2, "how `often` a measurement is repeated when others used more")
	f.BoolVar(&o.list, "list", false, "print figures and peers and exit")
	f.BoolVar(&o.isolated, "isolated", false, "the network namespace is ours alone")
	f.StringVar(&o.out, "out", "bin/bench", "`directory` for the results")
	f.DurationVar(&o.Window, "window", o.Window, "how long CPU is counted")
	f.IntVar(&o.Idle, "idle", o.Idle, fmt.Sprintf("idle `connections`, at most %d", cases.Most))
	f.IntVar(&o.Silent, "silent", o.Silent, fmt.Sprintf("silent `connections`, at most %d", cases.Most))
	f.DurationVar(&o.SilentWindow, "silent-window", o.SilentWindow, "how long silent connections are watched")
	f.IntVar(&o.Stalled, "stalled", o.Stalled, "`connections` whose readers stall")
	f.DurationVar(&o.Emptied, "emptied", o.Emptied, "how long a peer has to give memory back when all have closed")
	f.IntVar(&o.Rate, "rate", o.Rate, "messages a `second` for latencies")
	f.StringVar(&o.programs.Dataplane, "dataplane", "bin/dataplane", "`path` of ours")
	f.StringVar(&o.programs.ReverseProxy, "reverseproxy", "bin/bench/reverseproxy", "`path` of hack/bench/peers/reverseproxy")
	f.StringVar(&o.programs.Pump, "pump", "bin/bench/pump", "`path` of hack/bench/peers/pump")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.figures, o.peers = list(figures), list(names)
	if len(o.peers) > 0 {
		for _, v := range o.variants {
			o.peers = append(o.peers, v.Name) // Who describes one wants to see it.
		}
	}
	if o.rounds == 0 {
		o.rounds = 6
		if o.quick {
			o.rounds = 1
		}
	}
	return o, o.check(f.Args())
}

func (o options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.rounds < 1 || o.retries < 0 || o.Window <= 0 || o.Rate < 1:
		return errors.New("--rounds, --window and --rate must be positive, --retries not negative")
	case min(o.Idle, o.Silent, o.Stalled) < 1 || max(o.Idle, o.Silent, o.Stalled) > cases.Most:
		return fmt.Errorf("--idle, --silent and --stalled must be from 1 to %d", cases.Most)
	}
	return nil
}

// list splits at commas.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// selectCases returns the cases that the flags select.
func (o options) selectCases() ([]*cases.Case, error) {
	all := cases.All()
	for _, figure := range o.figures {
		if !slices.ContainsFunc(all, func(c *cases.Case) bool { return c.Matches([]string{figure}) }) {
			return nil, fmt.Errorf("--figures: there is no %q; see --list", figure)
		}
	}
	return slices.DeleteFunc(all, func(c *cases.Case) bool {
		if len(o.figures) > 0 {
			return !c.Matches(o.figures)
		}
		return o.quick && c.Slow
	}), nil
}

// selectPeers returns the peers that the flags select and that are there. The
// name of ours selects it with TLS and with autoReconnect, too. Those that are
// missing are told to whoever wants to know.
func (o options) selectPeers(all []*peers.Peer, missing func(*peers.Peer, error)) ([]*peers.Peer, error) {
	wanted := func(p *peers.Peer, name string) bool {
		return p.Name == name || p.Name == name+"-tls" || p.Name == name+"-kept"
	}
	for _, name := range o.peers {
		if !slices.ContainsFunc(all, func(p *peers.Peer) bool { return p.Name == name }) {
			return nil, fmt.Errorf("--peers: there is no %q; see --list", name)
		}
	}
	return slices.DeleteFunc(all, func(p *peers.Peer) bool {
		if len(o.peers) > 0 && !slices.ContainsFunc(o.peers, func(name string) bool { return wanted(p, name) }) {
			return true
		}
		err := p.Missing()
		if err != nil {
			missing(p, err)
		}
		return err != nil
	}), nil
}
