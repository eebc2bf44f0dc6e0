// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
)

type disconnect struct {
	*session
	choice choice
	all    bool
	dryRun dryRun
	print  *genericclioptions.PrintFlags

	code         int32
	reason       string
	graceSeconds int64
}

func newDisconnect(s *session) *cobra.Command {
	d := &disconnect{session: s, print: genericclioptions.NewPrintFlags("disconnected")}
	command := &cobra.Command{
		Use:   "disconnect (NAME... | -l SELECTOR | --all) [--code CODE] [--reason TEXT]",
		Short: "End connections with a close code and a reason",
		Long: "Ends connections. Client and upstream are sent a close frame with the code and the reason.\n\n" +
			"Many are ended one by one, as fast as the server lets one user make changes (50 a second and\n" +
			"replica, unless it was told otherwise). If all get the same code 1000, kubectl delete --raw with\n" +
			"a labelSelector ends them with one request.",
		Example: `  # One, with a word of your own
  kubectl ws disconnect 1lekdkm7amgn1j836-00000001 --code 4001 --reason "please log in again"

  # Who would it be?
  kubectl ws disconnect -l wsproxy.io/proxy=chat --dry-run=server

  # All of a client, wherever they are
  kubectl ws disconnect -A --field-selector spec.sourceIP=203.0.113.7 --code 1008`,
		ValidArgsFunction: s.completeNames,
		RunE:              d.run,
	}
	d.choice.addFlags(command)
	d.print.AddFlags(command)
	d.dryRun.addFlags(command)
	flags := command.Flags()
	flags.BoolVar(&d.all, "all", false, "End all connections of the namespace, or of all namespaces with -A.")
	flags.Int32Var(&d.code, "code", connectionsv1alpha1.DefaultCloseCode, "Close code: 1000-1003, 1007-1014 or 3000-4999.")
	flags.StringVar(&d.reason, "reason", connectionsv1alpha1.DefaultReason, fmt.Sprintf("Reason in the close frame, at most %d bytes.", connectionsv1alpha1.MaxReasonBytes))
	flags.Int64Var(&d.graceSeconds, "grace-period", connectionsv1alpha1.DefaultGracePeriodSeconds, "Period of time in seconds that client and upstream have to answer the close frame.")
	return command
}

func (d *disconnect) run(command *cobra.Command, arguments []string) error {
	ctx := command.Context()
	err := errors.Join(d.choice.complete(arguments), d.dryRun.check())
	chosen := len(d.choice.names) > 0 || d.choice.labels != "" || d.choice.fields != ""
	switch {
	case err != nil:
		return err
	case !chosen && !d.all:
		return errors.New("no connection was specified: name some, or choose them by --selector, --field-selector or --all")
	case chosen && d.all:
		return errors.New("names and selectors cannot be used together with --all")
	}
	if err := d.print.Complete(d.dryRun.said()); err != nil {
		return err
	}
	printer, err := d.print.ToPrinter()
	if err != nil {
		return err
	}
	namespace, err := d.namespace()
	if err != nil {
		return err
	}
	asking, err := d.connect()
	if err != nil {
		return err
	}
	targets, silent, err := d.targets(ctx, asking, namespace)
	if err != nil {
		return err
	}
	if len(targets) == 0 && len(silent) == 0 {
		fmt.Fprintln(d.streams.ErrOut, d.choice.none(namespace))
		return nil
	}
	b := &bulk{
		end:      d.end(asking, d.wish(command)),
		selected: len(d.choice.names) == 0,
		report:   newReport(d.streams, printer, len(targets)),
	}
	b.run(ctx, targets)
	return d.conclude(ctx, b, len(targets), silent)
}

// wish says what was said, and leaves the rest to the server.
func (d *disconnect) wish(command *cobra.Command) *connectionsv1alpha1.WebSocketDisconnect {
	wish, flags := &connectionsv1alpha1.WebSocketDisconnect{}, command.Flags()
	if flags.Changed("code") {
		wish.Code = &d.code
	}
	if flags.Changed("reason") {
		wish.Reason = &d.reason
	}
	if flags.Changed("grace-period") {
		wish.GracePeriodSeconds = &d.graceSeconds
	}
	return wish
}

// target is a connection that is to be ended.
type target struct{ namespace, name string }

// targets are the connections that were chosen, and the pods that did not answer when
// they were asked for them.
func (d *disconnect) targets(ctx context.Context, asking *client.Client, namespace string) (targets []target, silent []string, err error) {
	for _, name := range d.choice.names {
		targets = append(targets, target{namespace, name})
	}
	if len(targets) > 0 {
		return targets, nil, nil
	}
	err = asking.Lists(ctx, d.choice.selection(namespace), func(page *unstructured.UnstructuredList) error {
		for _, object := range page.Items {
			targets = append(targets, target{object.GetNamespace(), object.GetName()})
		}
		// A page names those of the pages before it, too.
		for _, pod := range client.Unanswered(page) {
			if !slices.Contains(silent, pod) {
				silent = append(silent, pod)
			}
		}
		return nil
	})
	return targets, silent, err
}

// end is how one of them is ended.
func (d *disconnect) end(asking *client.Client, wish *connectionsv1alpha1.WebSocketDisconnect) func(context.Context, target) (*unstructured.Unstructured, error) {
	return func(ctx context.Context, t target) (*unstructured.Unstructured, error) {
		if d.dryRun.strategy == dryRunClient {
			return asking.Get(ctx, client.Connections, t.namespace, t.name)
		}
		return asking.Disconnect(ctx, t.namespace, t.name, wish, d.dryRun.strategy == dryRunServer)
	}
}

// conclude sums up where there was more than one, and says whether all is well.
func (d *disconnect) conclude(ctx context.Context, b *bulk, wanted int, silent []string) error {
	if wanted > 1 || len(silent) > 0 {
		fmt.Fprintln(d.streams.ErrOut, b.report.summary(fmt.Sprintf(d.dryRun.said(), "disconnected")))
	}
	switch {
	case len(silent) > 0:
		return fmt.Errorf("%d data-plane pods did not answer, so their connections are not among these: %s", len(silent), strings.Join(silent, ", "))
	case ctx.Err() != nil:
		return ctx.Err()
	case b.report.failed+b.report.left() > 0 || b.report.unprinted:
		return errSaid
	}
	return nil
}
