// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
)

type why struct {
	*session
	print *genericclioptions.PrintFlags
}

func newWhy(s *session) *cobra.Command {
	y := &why{session: s, print: genericclioptions.NewPrintFlags("")}
	command := &cobra.Command{
		Use:   "why NAME",
		Short: "Say why a connection has ended",
		Long: "Says who has ended a connection, how, and why; or that it has not ended. A pod remembers the connections\n" +
			"that have ended in the last ten minutes, while it runs.",
		Example: `  kubectl ws why 1lekdkm7amgn1j836-00000001
  kubectl ws why 1lekdkm7amgn1j836-00000001 -o jsonpath='{.status.cause}'`,
		Args:              one("NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              y.run,
	}
	y.print.AddFlags(command)
	return command
}

func (y *why) run(command *cobra.Command, arguments []string) error {
	printer, err := y.print.ToPrinter()
	if err != nil {
		return err
	}
	namespace, err := y.namespace()
	if err != nil {
		return err
	}
	asking, err := y.connect()
	if err != nil {
		return err
	}
	object, err := find(command.Context(), asking, namespace, client.Name(arguments[0]))
	if err != nil {
		return err
	}
	if *y.print.OutputFormat != "" || *y.print.TemplatePrinterFlags.TemplateArgument != "" {
		return printer.PrintObj(object, y.streams.Out)
	}
	text, err := y.story(object)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(y.streams.Out, text)
	return err
}

// find looks among those that are open first: one that ends in between has ended when it
// is looked for among those. Who may see only one kind is told of that.
func find(ctx context.Context, asking *client.Client, namespace, name string) (*unstructured.Unstructured, error) {
	live, liveErr := asking.Get(ctx, client.Connections, namespace, name)
	if liveErr == nil {
		return live, nil
	}
	if !apierrors.IsNotFound(liveErr) && !apierrors.IsForbidden(liveErr) {
		return nil, liveErr
	}
	closed, err := asking.Get(ctx, client.Closed, namespace, name)
	switch {
	case err == nil:
		return closed, nil
	case apierrors.IsForbidden(liveErr) || !apierrors.IsNotFound(err) || isUnknown(err):
		return nil, err
	default:
		return nil, fmt.Errorf("no connection %q is open in namespace %s, and no pod remembers one that has ended: each does for ten minutes, while it runs", name, namespace)
	}
}

// story is what there is to say of a connection, open or not.
func (y *why) story(object *unstructured.Unstructured) (string, error) {
	if object.GetKind() == "ClosedWebSocketConnection" {
		closed := &connectionsv1alpha1.ClosedWebSocketConnection{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, closed); err != nil {
			return "", fmt.Errorf("the server's closed connection: %w", err)
		}
		return storyOfClosed(closed, y.now()), nil
	}
	live := &connectionsv1alpha1.WebSocketConnection{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, live); err != nil {
		return "", fmt.Errorf("the server's connection: %w", err)
	}
	return storyOfLive(live, y.now()), nil
}
