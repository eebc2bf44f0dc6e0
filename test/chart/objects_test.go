// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// objects are manifests by kind, namespace and name.
type objects map[string]*unstructured.Unstructured

// parse reads manifests. Two of the same name are a mistake.
func parse(t testing.TB, manifests string) objects {
	t.Helper()
	all := objects{}
	reader := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifests)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &o.Object); err != nil {
			t.Fatalf("%v in:\n%s", err, document)
		}
		if len(o.Object) == 0 {
			continue
		}
		key := fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
		if all[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		all[key] = o
	}
}

// get returns an object that must be there.
func (o objects) get(t testing.TB, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, ns := range []string{namespace, ""} {
		if found := o[fmt.Sprintf("%s %s/%s", kind, ns, name)]; found != nil {
			return found
		}
	}
	t.Fatalf("no %s %s among %q", kind, name, slices.Sorted(maps.Keys(o)))
	return nil
}

// container returns the only container of a Deployment.
func (o objects) container(t testing.TB, deployment string) map[string]any {
	t.Helper()
	list, _, err := unstructured.NestedSlice(o.get(t, "Deployment", deployment).Object, "spec", "template", "spec", "containers")
	if err != nil || len(list) != 1 {
		t.Fatalf("%s has %d containers: %v", deployment, len(list), err)
	}
	return list[0].(map[string]any)
}

// differences says in which fields two values differ, one line each.
func differences(path string, a, b any) []string {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			both := maps.Clone(a)
			maps.Copy(both, b)
			var found []string
			for _, k := range slices.Sorted(maps.Keys(both)) {
				found = append(found, differences(path+"."+k, a[k], b[k])...)
			}
			return found
		}
	case []any:
		if b, ok := b.([]any); ok {
			var found []string
			if len(a) != len(b) {
				found = append(found, fmt.Sprintf("%s: %d and %d elements", path, len(a), len(b)))
				found = append(found, only(path+": the first alone has", a, b)...)
				return append(found, only(path+": the second alone has", b, a)...)
			}
			for i := range a {
				found = append(found, differences(fmt.Sprintf("%s[%d]", path, i), a[i], b[i])...)
			}
			return found
		}
	}
	return []string{fmt.Sprintf("%s: %v and %v", path, a, b)}
}

// only says what is in a list and not in another.
func only(what string, list, other []any) []string {
	var found []string
	for _, v := range list {
		if !slices.ContainsFunc(other, func(o any) bool { return reflect.DeepEqual(v, o) }) {
			found = append(found, fmt.Sprintf("%s %v", what, v))
		}
	}
	return found
}
