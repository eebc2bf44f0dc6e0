// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	chartDir   = "../../charts/wsproxy"
	helmBinary = "../../hack/helm/binary"
	// releaseName is what hack/deploy calls it.
	releaseName = "wsproxy"
)

// release is the installation, as the test found it.
type release struct {
	t      *testing.T
	binary string
	// values is a file with those that it has.
	values string
	// annotations of the operator's Deployment are what hack/deploy notes there.
	annotations map[string]string
}

// findRelease reads how wsproxy is installed. The end of the test installs it
// again, whatever has become of it.
func findRelease(t *testing.T, c client.Client) *release {
	t.Helper()
	r := readRelease(t, c)
	t.Cleanup(func() {
		// t.Context ends before the cleanup.
		r.installs(context.Background())
	})
	return r
}

// readRelease reads how wsproxy is installed.
func readRelease(t *testing.T, c client.Client) *release {
	t.Helper()
	path, err := exec.CommandContext(t.Context(), helmBinary).Output()
	if err != nil {
		t.Fatalf("%s: %v", helmBinary, err)
	}
	r := &release{t: t, binary: strings.TrimSpace(string(path)), values: filepath.Join(t.TempDir(), "values.json")}
	values := r.helm(t.Context(), "get", "values", releaseName, "--output", "json")
	if !json.Valid([]byte(values)) {
		t.Fatalf("helm get values prints %q", values)
	}
	if err := os.WriteFile(r.values, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	operator := &appsv1.Deployment{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, operator); err != nil {
		t.Fatal(err)
	}
	r.annotations = map[string]string{}
	for name, value := range operator.Annotations {
		if strings.HasPrefix(name, "dev.wsproxy.io/") {
			r.annotations[name] = value
		}
	}
	return r
}

// helm runs what an administrator would type and returns what it prints.
func (r *release) helm(ctx context.Context, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(ctx, r.binary, append([]string{"--namespace", operatorNamespace}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("helm %v: %v\n%s%s", args, err, out, &stderr)
	}
	return string(out)
}

// install installs the release, or upgrades it, with the values that the test
// found and more of them on top, and waits until all of it works.
func (r *release) install(args ...string) {
	r.t.Helper()
	r.installs(r.t.Context(), args...)
}

func (r *release) installs(ctx context.Context, args ...string) {
	r.t.Helper()
	r.helm(ctx, append([]string{
		"upgrade", "--install", releaseName, chartDir, "--create-namespace", "--wait", "--timeout=3m", "--reset-values", "--values", r.values,
	}, args...)...)
	for _, args := range [][]string{
		{"wait", "apiservice/v1alpha1.connections.wsproxy.io", "--for=condition=Available", "--timeout=60s"},
		r.annotate(),
	} {
		if out, err := exec.CommandContext(ctx, "kubectl", args...).CombinedOutput(); err != nil {
			r.t.Fatalf("kubectl %v: %v\n%s", args, err, out)
		}
	}
}

func (r *release) annotate() []string {
	args := []string{"--namespace", operatorNamespace, "annotate", "--overwrite", "deployment", operatorName}
	for name, value := range r.annotations {
		args = append(args, name+"="+value)
	}
	if len(r.annotations) == 0 {
		return []string{"version", "--client"}
	}
	return args
}

// uninstall is what an administrator types.
func (r *release) uninstall() {
	r.t.Helper()
	r.helm(r.t.Context(), "uninstall", releaseName, "--wait")
}
