// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wsproxy/wsproxy/cmd/version"
)

// newVersion is for who types what kubectl taught them; --version is what the
// other programs have.
func newVersion(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version of this plugin",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(s.streams.Out, version.Line(command.Root().Name()))
			return err
		},
	}
}
