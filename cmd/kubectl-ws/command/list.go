// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
)

type list struct {
	*session
	choice     choice
	output     *output
	refreshing refreshing
	rates      bool
}

func newList(s *session) *cobra.Command {
	l := &list{session: s, output: newOutput()}
	command := &cobra.Command{
		Use:   "list [NAME...] [-l SELECTOR] [-w]",
		Short: "List live connections, once or refreshed with rates",
		Long: "Lists live connections as kubectl get wsc does. With -w the table is refreshed, and says how many\n" +
			"messages and bytes come in a second from the client and from the upstream.",
		Example: `  # Those of a proxy, refreshed every two seconds
  kubectl ws list -l wsproxy.io/proxy=chat -w

  # Those of one client in all namespaces, as JSON
  kubectl ws list -A --field-selector spec.sourceIP=203.0.113.7 -o json

  # Rates in a script
  kubectl ws list --rates --refresh 5s`,
		ValidArgsFunction: s.completeNames,
		RunE:              l.run,
	}
	l.addFlags(command)
	command.Flags().BoolVar(&l.rates, "rates", false, "Look twice, and show the rates in between.")
	return command
}

func (l *list) addFlags(command *cobra.Command) {
	l.choice.addFlags(command)
	l.output.addFlags(command)
	l.refreshing.addFlags(command)
}

func (l *list) run(command *cobra.Command, arguments []string) error {
	ctx := command.Context()
	tabular, _ := l.output.table()
	if !tabular && (l.rates || l.refreshing.watch) {
		return errors.New("--watch and --rates are for tables: use kubectl get wsc --watch for other formats")
	}
	survey, err := l.survey(arguments)
	switch {
	case err != nil:
		return err
	case !tabular:
		return l.objects(ctx, survey)
	case l.refreshing.watch:
		return l.refreshing.run(ctx, l.session, survey, func(r *round) (string, error) { return l.text(r.withRates()) })
	case l.rates:
		r, err := l.refreshing.measure(ctx, survey)
		if err != nil {
			return err
		}
		return l.print(survey, r.withRates(), r.missing)
	default:
		r, err := survey.look(ctx)
		if err != nil {
			return err
		}
		return l.print(survey, r.plain(), r.missing)
	}
}

// survey is of what arguments and flags choose.
func (l *list) survey(arguments []string) (*survey, error) {
	if err := errors.Join(l.choice.complete(arguments), l.refreshing.check()); err != nil {
		return nil, err
	}
	namespace, err := l.namespace()
	if err != nil {
		return nil, err
	}
	asking, err := l.connect()
	if err != nil {
		return nil, err
	}
	return &survey{client: asking, choice: &l.choice, namespace: namespace, now: l.now}, nil
}

// print prints the table, and then, as kubectl does, what is missing from it.
func (l *list) print(s *survey, table *metav1.Table, missing []error) error {
	if len(table.Rows) == 0 && len(missing) == 0 {
		fmt.Fprintln(l.streams.ErrOut, l.choice.none(s.namespace))
		return nil
	}
	if len(table.Rows) > 0 {
		if err := l.output.tablePrinter(l.choice.everywhere).PrintObj(table, l.streams.Out); err != nil {
			return err
		}
	}
	return l.lacks(missing)
}

// lacks says what is missing. Then the command has failed.
func (l *list) lacks(missing []error) error {
	for _, err := range missing {
		fmt.Fprintln(l.streams.ErrOut, explain(err))
	}
	if len(missing) > 0 {
		return errSaid
	}
	return nil
}

func (l *list) text(table *metav1.Table) (string, error) {
	var text bytes.Buffer
	err := l.output.tablePrinter(l.choice.everywhere).PrintObj(table, &text)
	return text.String(), err
}

// objects prints what is no table: a list, or the object if a single one is named. As
// kubectl does, it prints those of several that there are, and then what is missing.
func (l *list) objects(ctx context.Context, s *survey) error {
	printer, err := l.output.printer()
	if err != nil {
		return err
	}
	if len(l.choice.names) == 1 {
		object, err := s.client.Get(ctx, client.Connections, s.namespace, l.choice.names[0])
		if err != nil {
			return err
		}
		return printer.PrintObj(object, l.streams.Out)
	}
	all := &unstructured.UnstructuredList{}
	all.SetGroupVersionKind(connectionsv1alpha1.GroupVersion.WithKind("WebSocketConnectionList"))
	var missing []error
	for _, name := range l.choice.names {
		object, err := s.client.Get(ctx, client.Connections, s.namespace, name)
		var answered apierrors.APIStatus
		switch {
		case err == nil:
			all.Items = append(all.Items, *object)
		case errors.As(err, &answered):
			missing = append(missing, err)
		default: // There is no server, so none of the others either.
			return err
		}
	}
	if len(l.choice.names) == 0 {
		if err := s.client.Lists(ctx, l.choice.selection(s.namespace), func(page *unstructured.UnstructuredList) error {
			page.Items = append(all.Items, page.Items...)
			all = page
			return nil
		}); err != nil {
			return err
		}
	}
	if err := printer.PrintObj(all, l.streams.Out); err != nil {
		return err
	}
	return l.lacks(missing)
}
