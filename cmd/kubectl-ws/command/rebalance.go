// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
)

const (
	// rebalancePage is how many connections are asked for at a time.
	rebalancePage = 500
	// serviceRestart tells a client to come back (RFC 6455 section 7.4, the registry of IANA).
	serviceRestart = 1012
)

type rebalance struct {
	*session
	dryRun          dryRun
	rate, tolerance string
}

func newRebalance(s *session) *cobra.Command {
	e := &rebalance{session: s}
	command := &cobra.Command{
		Use:   "rebalance PROXY [--tolerance 10%] [--rate 20/s] [--dry-run=client]",
		Short: "Move connections away from the pods of a proxy that have too many",
		Long: "Ends connections of the pods that have more than others, such as after a scale-out, one after the other:\n" +
			"each client is told 1012 (service restart) and \"rebalance\", and is expected to come back. Those that\n" +
			"nothing was heard of for longest are the first.\n\n" +
			"It ends so few that no pod is expected to be left with more than its share and the tolerance on top.\n" +
			"The Service spreads those who come back over all pods, the ones that they left included, so that these\n" +
			"are more than the difference; see what it would take with --dry-run=client.",
		Example: `  # What would it take?
  kubectl ws rebalance chat --dry-run=client

  # Slowly, and down to 30 % above the mean only
  kubectl ws rebalance chat --tolerance 30% --rate 5/s`,
		Args:              one("PROXY"),
		ValidArgsFunction: s.completeProxy,
		RunE:              e.run,
	}
	e.dryRun.addFlags(command)
	flags := command.Flags()
	flags.StringVar(&e.tolerance, "tolerance", "10%", "How many connections more than the mean a pod may have.")
	flags.StringVar(&e.rate, "rate", "20/s", "End so many connections in a second at most.")
	return command
}

func (e *rebalance) run(command *cobra.Command, arguments []string) error {
	ctx := command.Context()
	rate, rateErr := number(e.rate, "/s")
	tolerance, err := number(e.tolerance, "%")
	switch {
	case rateErr != nil || rate <= 0:
		return fmt.Errorf("--rate must be a number of connections a second above 0, such as 20/s, not %q", e.rate)
	case err != nil || tolerance < 0:
		return fmt.Errorf("--tolerance must be a percentage, such as 10%%, not %q", e.tolerance)
	}
	if err := e.dryRun.check(); err != nil {
		return err
	}
	namespace, err := e.namespace()
	if err != nil {
		return err
	}
	asking, err := e.connect()
	if err != nil {
		return err
	}
	b, err := e.weigh(ctx, asking, namespace, arguments[0])
	if err != nil {
		return err
	}
	b.plan(tolerance / 100)
	if err := printers.NewTablePrinter(printers.PrintOptions{}).PrintObj(b.table(), e.streams.Out); err != nil {
		return err
	}
	return e.move(ctx, asking, b, time.Duration(float64(time.Second)/rate))
}

// number reads a number that may have its unit behind it.
func number(text, unit string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, unit), 32)
	if err == nil && (n != n || n > 1e6) {
		err = strconv.ErrRange
	}
	return n, err
}

// weigh counts the connections of each pod. It fails where the counts would not tell
// what to do.
func (e *rebalance) weigh(ctx context.Context, asking *client.Client, namespace, name string) (*balance, error) {
	object, err := asking.Get(ctx, client.Proxies, namespace, name)
	if err != nil {
		return nil, err
	}
	proxy := &wsproxyv1alpha1.WebSocketProxy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, proxy); err != nil {
		return nil, fmt.Errorf("the server's proxy: %w", err)
	}
	if n := proxy.Status.Dataplane.Draining; n > 0 {
		return nil, fmt.Errorf("%d pods of proxy %q drain, and their clients will come to the others: wait until status.dataplane.draining is 0", n, name)
	}
	b := &balance{ready: int(proxy.Status.ReadyReplicas), shares: map[string]*share{}}
	var silent []string
	selection := client.Selection{Namespace: namespace, Labels: wsproxyv1alpha1.LabelProxy + "=" + name, Page: rebalancePage}
	err = asking.Lists(ctx, selection, func(page *unstructured.UnstructuredList) error {
		for i := range page.Items {
			b.add(&page.Items[i])
		}
		// A page names those of the pages before it, too.
		if pods := client.Unanswered(page); len(pods) > 0 {
			silent = pods
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(silent) > 0:
		return nil, fmt.Errorf("%d data-plane pods did not answer, so nobody knows how many connections they have: %s", len(silent), strings.Join(slices.Sorted(slices.Values(silent)), ", "))
	case b.ready == 0:
		return nil, fmt.Errorf("no pod of proxy %q is ready", name)
	case len(b.shares) > b.ready:
		return nil, fmt.Errorf("%d pods of proxy %q have connections, and %d are ready: wait until all are", len(b.shares), name, b.ready)
	}
	return b, nil
}

// move ends what was chosen.
func (e *rebalance) move(ctx context.Context, asking *client.Client, b *balance, interval time.Duration) error {
	said := fmt.Sprintf(e.dryRun.said(), "closed")
	if len(b.moved) == 0 || e.dryRun.strategy == dryRunClient {
		fmt.Fprintf(e.streams.ErrOut, "%d of %d connections %s\n", len(b.moved), b.total, said)
		return nil
	}
	if e.dryRun.strategy == dryRunServer {
		interval = 0
	}
	wish := &connectionsv1alpha1.WebSocketDisconnect{Code: new(int32(serviceRestart)), Reason: new("rebalance")}
	ending := &bulk{
		end: func(ctx context.Context, t target) (*unstructured.Unstructured, error) {
			return asking.Disconnect(ctx, t.namespace, t.name, wish, e.dryRun.strategy == dryRunServer)
		},
		selected: true,
		report:   newReport(e.streams, printers.NewDiscardingPrinter(), len(b.moved)),
		interval: interval,
	}
	ending.run(ctx, b.moved)
	fmt.Fprintln(e.streams.ErrOut, ending.report.summary(said))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case ending.report.failed+ending.report.left() > 0:
		return errSaid
	}
	return nil
}
