// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kubectl runs kubectl against the server, with a cache of its own, and returns
// everything it prints.
func kubectl(ctx context.Context, arguments ...string) (string, error) {
	output, err := kubectlCommand(ctx, arguments...).CombinedOutput()
	return string(output), err
}

// kubectlWith runs kubectl with a manifest on its standard input.
func kubectlWith(t testing.TB, manifest string, arguments ...string) (string, error) {
	t.Helper()
	command := kubectlCommand(t.Context(), arguments...)
	command.Stdin = strings.NewReader(manifest)
	output, err := command.CombinedOutput()
	return string(output), err
}

func kubectlCommand(ctx context.Context, arguments ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(server.assets, "kubectl"), append([]string{
		"--kubeconfig", server.kubeconfig,
		"--cache-dir", filepath.Join(filepath.Dir(server.kubeconfig), "cache"),
	}, arguments...)...)
}
