// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// modes are the files of values in the chart, one for each way to install it.
func modes(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(chartDir + "/ci/*-values.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("only %q: %v", files, err)
	}
	return files
}

// The API server, with the CRDs of those whose objects the chart can bring, takes every
// object in every mode and knows each of its fields.
func TestTheAPIServerTakesEveryMode(t *testing.T) {
	clean(t)
	kubectlWith(t, foreignCRDs(t)+"---\n"+template(t, "--show-only=templates/crds.yaml"), "apply", "--server-side", "--filename=-")
	kubectl(t, "wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
	for _, name := range []string{namespace, "chat", "shop"} {
		if _, err := command(t.Context(), "", tools.kubectl, "create", "namespace", name); err != nil && !strings.Contains(err.Error(), "AlreadyExists") {
			t.Fatal(err)
		}
	}
	kubectl(t, "label", "namespace", namespace, "--overwrite", "pod-security.kubernetes.io/enforce=restricted")
	for _, values := range append(modes(t), everything) {
		t.Run(strings.TrimSuffix(filepath.Base(values), ".yaml"), func(t *testing.T) {
			manifests := templateWithTests(t, "--values", values)
			kubectlWith(t, manifests, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-")
			restricted(t, parse(t, manifests))
		})
	}
	t.Run("the examples of Artifact Hub", func(t *testing.T) {
		kubectlWith(t, examples(t), "apply", "--dry-run=server", "--validate=strict", "--filename=-")
	})
}

// restricted fails unless every pod of the release may run where the Pod Security
// Standard "restricted" is enforced.
func restricted(t *testing.T, all objects) {
	t.Helper()
	var pods []any
	for _, o := range all {
		switch o.GetKind() {
		case "Deployment":
			template, _, err := unstructured.NestedMap(o.Object, "spec", "template")
			if err != nil {
				t.Fatal(err)
			}
			pod := &unstructured.Unstructured{Object: template}
			pod.SetAPIVersion("v1")
			pod.SetKind("Pod")
			pod.SetNamespace(namespace)
			pod.SetName(o.GetName())
			pods = append(pods, pod.Object)
		case "Pod":
			pods = append(pods, o.Object)
		}
	}
	if len(pods) < 2 {
		t.Errorf("only %d pods", len(pods))
	}
	raw, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": pods})
	if err != nil {
		t.Fatal(err)
	}
	kubectlWith(t, string(raw), "create", "--dry-run=server", "--filename=-")
}

// foreignCRDs are those of cert-manager and of the Prometheus operator, from their own
// modules.
func foreignCRDs(t *testing.T) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/cert-manager/cert-manager", "github.com/prometheus-operator/prometheus-operator")
	c.Dir = "../../hack/tools/crds"
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c, err, out)
	}
	var crds []string
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var module struct{ Dir string }
		if err := decoder.Decode(&module); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		err := walk(module.Dir, func(path, content string) {
			switch filepath.Base(path) {
			case "cert-manager.io_certificates.yaml", "cert-manager.io_issuers.yaml", "monitoring.coreos.com_servicemonitors.yaml", "monitoring.coreos.com_podmonitors.yaml", "monitoring.coreos.com_prometheusrules.yaml":
				if dir := filepath.Base(filepath.Dir(path)); dir == "crds" || dir == "prometheus-operator-crd" {
					crds = append(crds, content)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(crds) != 5 {
		t.Fatalf("%d CRDs, want 5", len(crds))
	}
	return strings.Join(crds, "\n---\n")
}
