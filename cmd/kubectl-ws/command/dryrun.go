// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// dryRun is --dry-run, whose value is one of these.
type dryRun struct{ strategy string }

const (
	dryRunNone   = "none"
	dryRunServer = "server"
	dryRunClient = "client"
	// dryRunBare is what pflag makes of the flag without a value, which kubectl refuses
	// as well.
	dryRunBare = "unchanged"
)

func (d *dryRun) addFlags(command *cobra.Command) {
	command.Flags().StringVar(&d.strategy, "dry-run", dryRunNone, `Must be "none", "server", or "client". If client strategy, only print what would be asked for. If server strategy, the server checks it, and changes nothing.`)
	command.Flag("dry-run").NoOptDefVal = dryRunBare
}

func (d *dryRun) check() error {
	switch d.strategy {
	case dryRunNone, dryRunServer, dryRunClient:
		return nil
	case dryRunBare:
		return errors.New(`--dry-run flag without a value was specified. A value must be set: "none", "server", or "client"`)
	default:
		return fmt.Errorf(`invalid dry-run value (%s). Must be "none", "server", or "client"`, d.strategy)
	}
}

// said is what stands behind an operation that may not have happened.
func (d *dryRun) said() string {
	switch d.strategy {
	case dryRunServer:
		return "%s (server dry run)"
	case dryRunClient:
		return "%s (dry run)"
	default:
		return "%s"
	}
}
