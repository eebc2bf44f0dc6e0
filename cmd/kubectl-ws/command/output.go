// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
)

// output is -o of a command that prints a table unless it is asked for something else.
type output struct {
	*genericclioptions.PrintFlags
	noHeaders, showLabels bool
}

func newOutput() *output { return &output{PrintFlags: genericclioptions.NewPrintFlags("")} }

func (o *output) addFlags(command *cobra.Command) {
	o.AddFlags(command)
	command.Flag("output").Usage = fmt.Sprintf("Output format. One of: (%s, wide).", strings.Join(o.AllowedFormats(), ", "))
	command.Flags().BoolVar(&o.noHeaders, "no-headers", false, "When using the default or wide output format, don't print headers.")
	command.Flags().BoolVar(&o.showLabels, "show-labels", false, "When printing, show all labels as the last column.")
}

// table reports whether it is a table that is wanted, and whether a wide one.
func (o *output) table() (wanted, wide bool) {
	switch *o.OutputFormat {
	case "wide":
		return true, true
	case "":
		return *o.TemplatePrinterFlags.TemplateArgument == "", false
	default:
		return false, false
	}
}

// printer is for anything that is no table.
func (o *output) printer() (printers.ResourcePrinter, error) {
	printer, err := o.ToPrinter()
	var unknown genericclioptions.NoCompatiblePrinterError
	if errors.As(err, &unknown) {
		unknown.AllowedFormats = append(unknown.AllowedFormats, "wide")
		if strings.HasPrefix(*o.OutputFormat, "custom-columns") {
			// kubectl's printer of them is in no library.
			return nil, errors.New("custom columns are printed by kubectl get wsc -o custom-columns=…; here -o jsonpath=… chooses fields")
		}
		return nil, unknown
	}
	return printer, err
}

// tablePrinter prints tables; with a namespace in front of each row if everywhere is
// set.
func (o *output) tablePrinter(everywhere bool) printers.ResourcePrinter {
	_, wide := o.table()
	return printers.NewTablePrinter(printers.PrintOptions{
		NoHeaders: o.noHeaders, ShowLabels: o.showLabels, Wide: wide, WithNamespace: everywhere,
	})
}
