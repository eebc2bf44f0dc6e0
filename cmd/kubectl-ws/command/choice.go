// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
)

// choice is which connections a command is about: those that are named, or those that
// selectors select.
type choice struct {
	labels, fields string
	everywhere     bool
	page           int64
	names          []string
}

func (c *choice) addFlags(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVarP(&c.labels, "selector", "l", "", "Selector (label query) to filter on, such as wsproxy.io/proxy=chat. Supports '=', '==', '!=', 'in', 'notin'.")
	flags.StringVar(&c.fields, "field-selector", "", "Selector (field query) to filter on, such as spec.sourceIP=203.0.113.7: metadata.name, spec.proxy, spec.pod, spec.sourceIP or status.phase.")
	flags.BoolVarP(&c.everywhere, "all-namespaces", "A", false, "If present, across all namespaces.")
	flags.Int64Var(&c.page, "chunk-size", 500, "Ask for large lists in chunks rather than all at once. Pass 0 to disable.")
}

// complete takes the names, and refuses what does not go together.
func (c *choice) complete(arguments []string) error {
	for _, argument := range arguments {
		c.names = append(c.names, client.Name(argument))
	}
	switch {
	case c.page < 0:
		return errors.New("--chunk-size must not be negative")
	case len(c.names) > 0 && (c.labels != "" || c.fields != ""):
		return errors.New("name cannot be provided when a selector is specified")
	case len(c.names) > 0 && c.everywhere:
		return errors.New("a resource cannot be retrieved by name across all namespaces")
	}
	return nil
}

// selection is for a choice without names.
func (c *choice) selection(namespace string) client.Selection {
	if c.everywhere {
		namespace = ""
	}
	return client.Selection{Namespace: namespace, Labels: c.labels, Fields: c.fields, Page: c.page}
}

// none is what kubectl says where nothing was selected.
func (c *choice) none(namespace string) string {
	if c.everywhere {
		return "No resources found"
	}
	return fmt.Sprintf("No resources found in %s namespace.", namespace)
}

// one is the Args of a command that is about one thing.
func one(what string) cobra.PositionalArgs {
	return func(command *cobra.Command, arguments []string) error {
		if len(arguments) != 1 {
			return fmt.Errorf("exactly one %s is required, got %d\nSee '%s --help' for usage", what, len(arguments), command.CommandPath())
		}
		return nil
	}
}
