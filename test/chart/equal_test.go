// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// helmLabels are on everything of a release and on nothing of config/.
var helmLabels = []string{
	"app.kubernetes.io/instance",
	"app.kubernetes.io/managed-by",
	"app.kubernetes.io/version",
	"helm.sh/chart",
}

func TestTheChartSaysWhatConfigSays(t *testing.T) {
	for base, values := range map[string][]string{
		"default":     nil,
		"namespaced":  {"--set", "watchNamespaces={default}"},
		"certmanager": {"--set", "certs.mode=cert-manager"},
	} {
		t.Run(base, func(t *testing.T) {
			config := parse(t, kubectl(t, "kustomize", "../../config/"+base))
			if len(config) < 16 {
				t.Fatalf("it has only %q", slices.Sorted(maps.Keys(config)))
			}
			chart := parse(t, template(t, values...))
			if base == "namespaced" {
				// The chart knows the namespaces and names them there.
				for _, name := range []string{"wsproxy-operator", "wsproxy-apiserver"} {
					key := "NetworkPolicy " + namespace + "/" + name
					chart[key] = config[key]
				}
			}
			saysTheSame(t, chart, config)
		})
	}
}

func saysTheSame(t *testing.T, chart, config objects) {
	t.Helper()

	// What may differ, and why.
	//
	// Helm makes the namespace, with --create-namespace.
	delete(config, "Namespace /"+namespace)
	for _, o := range chart {
		labels := o.GetLabels()
		for _, l := range helmLabels {
			delete(labels, l)
		}
		o.SetLabels(labels)
		// Helm must not delete the CRDs, and nobody else would.
		if o.GetKind() == "CustomResourceDefinition" {
			annotations := o.GetAnnotations()
			delete(annotations, "helm.sh/resource-policy")
			o.SetAnnotations(annotations)
		}
	}
	// The chart brings a default class; with config/ it is the users' to make.
	operator := chart.container(t, "wsproxy-operator")
	operator["args"] = slices.DeleteFunc(operator["args"].([]any), func(a any) bool { return strings.HasPrefix(a.(string), "--default-class=") })
	err := unstructured.SetNestedSlice(chart.get(t, "Deployment", "wsproxy-operator").Object, []any{operator}, "spec", "template", "spec", "containers")
	if err != nil {
		t.Fatal(err)
	}

	both := maps.Clone(config)
	maps.Copy(both, chart)
	for _, key := range slices.Sorted(maps.Keys(both)) {
		switch {
		case chart[key] == nil:
			t.Errorf("the chart lacks %s", key)
		case config[key] == nil:
			t.Errorf("config/ lacks %s", key)
		default:
			for _, d := range differences("", chart[key].Object, config[key].Object) {
				t.Errorf("%s: chart and config/ differ at %s", key, d)
			}
		}
	}
}

// hack/helm/sync-crds copies them.
func TestTheChartHasTheGeneratedCRDs(t *testing.T) {
	const source, copied = "../../config/crd/bases", chartDir + "/files/crds"
	read := func(dir string) map[string][]byte {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{}
		for _, e := range entries {
			if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
		return files
	}
	if want, got := read(source), read(copied); len(want) == 0 || !maps.EqualFunc(want, got, bytes.Equal) {
		t.Errorf("%s and %s differ; run hack/helm/sync-crds", source, copied)
	}
}
