// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
)

type settings struct {
	*session
	output *output
}

func newSettings(s *session) *cobra.Command {
	e := &settings{session: s, output: newOutput()}
	command := &cobra.Command{
		Use:   "settings PROXY",
		Short: "Show the settings of a proxy that are in force, and where they come from",
		Long: "Shows the settings of a WebSocketProxy that are in force, each with its source: the proxy itself, its\n" +
			"class, or what is built in; and warns where a change is not in force in every pod.",
		Example: `  kubectl ws settings chat
  kubectl ws settings chat -o jsonpath='{.status.effectiveSettings.retryDelay.value}'`,
		Args:              one("PROXY"),
		ValidArgsFunction: s.completeProxy,
		RunE:              e.run,
	}
	e.output.addFlags(command)
	return command
}

func (e *settings) run(command *cobra.Command, arguments []string) error {
	namespace, err := e.namespace()
	if err != nil {
		return err
	}
	asking, err := e.connect()
	if err != nil {
		return err
	}
	object, err := asking.Get(command.Context(), client.Proxies, namespace, arguments[0])
	if err != nil {
		return err
	}
	tabular, _ := e.output.table()
	if !tabular {
		printer, err := e.output.printer()
		if err != nil {
			return err
		}
		return printer.PrintObj(object, e.streams.Out)
	}
	return e.print(object)
}

func (e *settings) print(object *unstructured.Unstructured) error {
	proxy := &wsproxyv1alpha1.WebSocketProxy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, proxy); err != nil {
		return fmt.Errorf("the server's proxy: %w", err)
	}
	for _, warning := range reservations(proxy) {
		fmt.Fprintln(e.streams.ErrOut, "Warning: "+printers.EscapeTerminal(warning))
	}
	if proxy.Status.EffectiveSettings == nil {
		return fmt.Errorf("the operator has not seen proxy %q yet: is it running?", proxy.Name)
	}
	table := settingsTable(proxy.Status.EffectiveSettings)
	for i := range table.Rows {
		table.Rows[i].Object.Object = proxy
	}
	return e.output.tablePrinter(false).PrintObj(table, e.streams.Out)
}

// reservations say why the settings of the status may not be all there is to it.
func reservations(proxy *wsproxyv1alpha1.WebSocketProxy) []string {
	var all []string
	if proxy.Status.EffectiveSettings != nil && proxy.Status.ObservedGeneration != proxy.Generation {
		all = append(all, fmt.Sprintf("the operator has not seen the last change of proxy %q: these are the settings of generation %d, and it is at %d",
			proxy.Name, proxy.Status.ObservedGeneration, proxy.Generation))
	}
	for _, condition := range []string{wsproxyv1alpha1.ConditionAccepted, wsproxyv1alpha1.ConditionProgrammed} {
		if c := apimeta.FindStatusCondition(proxy.Status.Conditions, condition); c != nil && c.Status != metav1.ConditionTrue {
			all = append(all, fmt.Sprintf("%s is %s: %s: %s", c.Type, c.Status, c.Reason, c.Message))
		}
	}
	return all
}

// settingsTable has a row for each setting, in the order in which the type has them.
func settingsTable(effective *wsproxyv1alpha1.EffectiveSettings) *metav1.Table {
	table := &metav1.Table{ColumnDefinitions: []metav1.TableColumnDefinition{
		{Name: "Setting", Type: "string"}, {Name: "Value", Type: "string"}, {Name: "Unit", Type: "string"}, {Name: "Source", Type: "string"},
	}}
	values := reflect.ValueOf(*effective)
	for _, field := range reflect.VisibleFields(values.Type()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		var cells []any
		switch v := values.FieldByIndex(field.Index).Interface().(type) {
		case wsproxyv1alpha1.EffectiveInteger:
			cells = []any{name, v.Value, v.Unit, string(v.Source)}
		case wsproxyv1alpha1.EffectiveBoolean:
			cells = []any{name, v.Value, v.Unit, string(v.Source)}
		}
		table.Rows = append(table.Rows, metav1.TableRow{Cells: cells})
	}
	return table
}
