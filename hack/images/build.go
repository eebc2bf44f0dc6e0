// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/exec"
)

// stamp is what a binary reports of where it comes from.
type stamp struct{ version, commit string }

// flags are the linker's.
func (s stamp) flags() string {
	const to = "-X github.com/wsproxy/wsproxy/cmd/version."
	return to + "number=" + s.version + " " + to + "commit=" + s.commit
}

// build makes a static binary that is the same wherever and whenever it is
// built: nothing of the building machine is in it, and of the checkout only what
// linked says. Where nothing has changed, go build sees that and leaves the file
// alone.
func build(ctx context.Context, binary, pkg string, linked stamp, arch string) error {
	// #nosec G204 -- the developer's own arguments.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w "+linked.flags(), "-o", binary, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}
