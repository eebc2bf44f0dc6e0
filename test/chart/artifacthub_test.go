// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"os"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// annotation decodes what Chart.yaml says to Artifact Hub.
func annotation(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(chartDir + "/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var chart struct{ Annotations map[string]string }
	if err := yaml.Unmarshal(raw, &chart); err != nil {
		t.Fatal(err)
	}
	text, found := chart.Annotations["artifacthub.io/"+name]
	if !found {
		t.Fatalf("there is no %s", name)
	}
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// crd is a CRD as Artifact Hub shows it.
type crd struct{ Kind, Version, Name, DisplayName, Description string }

func TestArtifactHubIsToldOfEachCRD(t *testing.T) {
	var told, there []string
	var crds []crd
	annotation(t, "crds", &crds)
	for _, c := range crds {
		told = append(told, c.Name+" "+c.Kind+" "+c.Version)
		if c.DisplayName == "" || c.Description == "" {
			t.Errorf("nothing is said about %s", c.Name)
		}
	}
	for _, o := range parse(t, template(t)) {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		versions, _, _ := unstructured.NestedSlice(o.Object, "spec", "versions")
		there = append(there, o.GetName()+" "+kind+" "+versions[0].(map[string]any)["name"].(string))
	}
	slices.Sort(told)
	slices.Sort(there)
	if !slices.Equal(told, there) {
		t.Errorf("it is told of %q, and there are %q", told, there)
	}
}

// examples are the manifests that Artifact Hub shows.
func examples(t *testing.T) string {
	t.Helper()
	var list []any
	annotation(t, "crdsExamples", &list)
	raw, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": list})
	if err != nil || len(list) < 2 {
		t.Fatalf("%d examples: %v", len(list), err)
	}
	return string(raw)
}
