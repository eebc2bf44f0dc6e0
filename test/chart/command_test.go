// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// command runs a program and returns what it prints on stdout. Its stderr is part
// of the error.
func command(ctx context.Context, stdin, name string, arguments ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, name, arguments...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &stdout, &stderr
	c.Env = append(os.Environ(), "HOME="+tools.home, "KUBECONFIG="+tools.kubeconfig,
		"HELM_CACHE_HOME="+tools.home, "HELM_CONFIG_HOME="+tools.home, "HELM_DATA_HOME="+tools.home)
	if err := c.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s%s", strings.Join(c.Args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// helm runs Helm, which must succeed.
func helm(t testing.TB, arguments ...string) string {
	t.Helper()
	out, err := command(t.Context(), "", tools.helm, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kubectl runs kubectl, which must succeed.
func kubectl(t testing.TB, arguments ...string) string {
	t.Helper()
	return kubectlWith(t, "", arguments...)
}

// kubectlWith is kubectl with a manifest on its standard input.
func kubectlWith(t testing.TB, manifest string, arguments ...string) string {
	t.Helper()
	out, err := command(t.Context(), manifest, tools.kubectl, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// template renders the chart as `helm template --skip-tests` does, without a cluster.
func template(t testing.TB, arguments ...string) string {
	t.Helper()
	return templateWithTests(t, append([]string{"--skip-tests"}, arguments...)...)
}

// templateWithTests is template with what `helm test` brings into the cluster, too.
func templateWithTests(t testing.TB, arguments ...string) string {
	t.Helper()
	return helm(t, append([]string{"template", release, chartDir, "--namespace", namespace}, arguments...)...)
}
