// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// options say how much is done, and with what.
type options struct {
	pods, proxies, calls int
	atOnce               int
	listMemory           string
	sizes                []int
	growth               float64
	assets               string
	apiserver, dataplane string
}

func main() {
	o := options{}
	sizes := flag.String("sizes", "1000,10000,100000,1000000", "connections of the whole fleet, ascending; each size is measured on the way up and on the way down")
	flag.IntVar(&o.pods, "pods", 100, "data-plane pods")
	flag.IntVar(&o.proxies, "proxies", 10, "proxies that the pods are of")
	flag.IntVar(&o.calls, "calls", 400, "gets, and disconnects, for each size and way; at least 100")
	flag.Float64Var(&o.growth, "growth", 1.5, "how much more CPU time a get, a disconnect and a page may take at the largest size than at the smallest, and how much more memory")
	flag.IntVar(&o.atOnce, "at-once", 50_000, "connections of the lists that are not in pages, beside the one of all of them; those of whole pods, so it may be a few less")
	flag.StringVar(&o.listMemory, "list-memory", "", "that of the apiserver; empty: as it is by default")
	flag.StringVar(&o.assets, "assets", os.Getenv("KUBEBUILDER_ASSETS"), "directory with etcd, kube-apiserver and kubectl")
	flag.StringVar(&o.apiserver, "apiserver", "bin/bench/apiserver", "the program of cmd/apiserver")
	flag.StringVar(&o.dataplane, "dataplane", "bin/bench/dataplane", "the program of cmd/dataplane")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// The log of envtest has nothing that an error does not say.
	ctrllog.SetLogger(logr.Discard())
	if err := run(ctx, o, *sizes); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func (o *options) complete(sizes string) error {
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("--sizes: %w", err)
		}
		// A first page has to have a next one.
		if n <= pageSize || len(o.sizes) > 0 && n <= o.sizes[len(o.sizes)-1] {
			return fmt.Errorf("--sizes: %q: must ascend from above %d", sizes, pageSize)
		}
		o.sizes = append(o.sizes, n)
	}
	if o.pods < 1 || o.pods > 10_000 || o.proxies < 1 || o.proxies > o.pods || o.calls < 100 {
		return errors.New("1 to 10,000 pods, at least one proxy and no more than pods, at least 100 calls")
	}
	return nil
}

// run measures and prints. Errors: what kept it from measuring, and what grows with the
// fleet that must not.
func run(ctx context.Context, o options, sizes string) error {
	if err := o.complete(sizes); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-api-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	say("etcd, kube-apiserver, apiserver")
	p, err := newPlane(ctx, o, dir)
	if p != nil {
		defer p.stop()
	}
	if err != nil {
		return err
	}
	found, err := p.measure(ctx)
	if err != nil {
		return errors.Join(err, p.ended())
	}
	fmt.Print(found)
	return found.check()
}

// measure does all of it.
func (p *plane) measure(ctx context.Context) (*findings, error) {
	say("%d pods", p.pods)
	simulated, err := newSimulated(ctx, p)
	if err != nil {
		return nil, err
	}
	callers, err := p.callers(ctx)
	if err != nil {
		return nil, err
	}
	f := &findings{options: p.options}
	steps := slices.Concat(p.sizes, p.sizes[:len(p.sizes)-1])
	slices.Reverse(steps[len(p.sizes):])
	for i, connections := range steps {
		say("%d connections", connections)
		simulated.resize(connections)
		if err := p.server.ResetPeak(); err != nil {
			return nil, err
		}
		for _, c := range callers {
			at, err := p.point(ctx, simulated, c, connections)
			if err != nil {
				return nil, fmt.Errorf("%d connections, %s: %w", connections, c.name, err)
			}
			f.points = append(f.points, at)
		}
		m, err := p.memory(connections)
		if err != nil {
			return nil, err
		}
		f.memory = append(f.memory, m)
		if i == len(p.sizes)-1 {
			if err := p.ofMany(ctx, simulated, callers, f); err != nil {
				return nil, err
			}
		}
	}
	say("clients")
	with, err := newClientPod(ctx, p)
	if with != nil {
		defer with.stop()
	}
	if err != nil {
		return nil, err
	}
	if err := with.listens(ctx, callers[0]); err != nil {
		return nil, err
	}
	f.ends, err = with.ends(ctx, callers, p.calls)
	return f, err
}

// ofMany measures what tells of the whole fleet, or of a part of it.
func (p *plane) ofMany(ctx context.Context, s *simulated, callers []*caller, f *findings) error {
	selections := []struct {
		what  string
		query url.Values
		match func(pod, number int) bool
	}{
		{"watch from the state on: one client address", url.Values{"fieldSelector": {"spec.sourceIP=" + sourceIP(7)}}, func(_, number int) bool { return sourceIP(number) == sourceIP(7) }},
		{"watch from the state on: one proxy", url.Values{"labelSelector": {"wsproxy.io/proxy=" + proxyOf(0, p.proxies)}}, func(pod, _ int) bool { return proxyOf(pod, p.proxies) == proxyOf(0, p.proxies) }},
	}
	all := p.sizes[len(p.sizes)-1]
	direct := callers[len(callers)-1]
	for _, selected := range selections {
		b, err := p.bulk(selected.what, direct, func() (int, int64, error) { return direct.initial(ctx, selected.query) })
		if err := f.add(b, s.of(selected.match), err); err != nil {
			return err
		}
	}
	for _, c := range callers {
		b, err := p.bulk(inPages, c, func() (int, int64, error) { return c.inPages(ctx) })
		if err := f.add(b, all, err); err != nil {
			return err
		}
	}
	some, pods := s.first(p.atOnce, p.proxies)
	for _, list := range []struct {
		what  string
		query url.Values
		how   format
		want  int // 0: it may say itself that it is not all.
	}{
		{"all at once, gzip", nil, format{zipped: true}, 0},
		{"all at once, not compressed", nil, format{}, 0},
		{"some pods at once, gzip", pods, format{zipped: true}, some},
		{"some pods at once, not compressed", pods, format{}, some},
		{"some pods at once, as a table", pods, format{accept: asTable}, some},
	} {
		b, err := p.bulk(list.what, direct, func() (int, int64, error) { return direct.atOnce(ctx, list.query, list.how) })
		if err := f.add(b, list.want, err); err != nil {
			return err
		}
	}
	say("%v later", respite)
	time.Sleep(respite)
	var err error
	f.later, err = p.server.PSS()
	return err
}

// respite is how long the apiserver may take to give memory back.
const respite = 20 * time.Second

const inPages = "all in pages of 500, gzip"

var begun = time.Now()

// say prints a line of progress.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "%4.0fs  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, arguments...))
}
