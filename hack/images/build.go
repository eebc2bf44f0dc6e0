// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/exec"
)

// build makes a static binary that is the same wherever and whenever it is
// built: no path and no commit of the building machine is in it but the version.
// Where nothing has changed, go build sees that and leaves the file alone.
func build(ctx context.Context, binary, pkg, version, arch string) error {
	// #nosec G204 -- the developer's own arguments.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+version, "-o", binary, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}
