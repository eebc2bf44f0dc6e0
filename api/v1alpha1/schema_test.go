// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// A range is said to the API server, by a rule whose message has the whole of it
// and the unit, and to people. The validator's is held to the server's by the table
// of manifests. The schema's own minimum and maximum would refuse the same value a
// second time, in other words.
func TestEveryRangeOfTheSchemaIsSaidInTheSameWayEverywhere(t *testing.T) {
	for _, file := range []string{"websocketproxies", "websocketproxyclasses"} {
		spec := specSchema(t, file)
		seen := 0
		walkSchema("spec", spec, func(path string, schema map[string]any) {
			if schema["type"] != "integer" || strings.Contains(path, "affinity") || strings.Contains(path, "tolerations") || strings.Contains(path, "topologySpreadConstraints") {
				return
			}
			seen++
			if schema["minimum"] != nil || schema["maximum"] != nil {
				t.Errorf("%s: %s has minimum or maximum beside its rule", file, path)
			}
			rules, _ := schema["x-kubernetes-validations"].([]any)
			if len(rules) == 0 {
				t.Errorf("%s: %s has no rule that says the range", file, path)
				return
			}
			rule := rules[0].(map[string]any)
			var least, most int64
			// Without both, a number that the Go type cannot hold could be stored, and
			// no client could read the object again.
			if _, err := fmt.Sscanf(rule["rule"].(string), "self >= %d && self <= %d", &least, &most); err != nil {
				t.Errorf("%s: the rule of %s is %q, which is no range: %v", file, path, rule["rule"], err)
				return
			}
			description := strings.Join(strings.Fields(schema["description"].(string)), " ")
			if want := fmt.Sprintf("Range %d to %d", least, most); !strings.Contains(description, want) {
				t.Errorf("%s: the description of %s does not say %q: %s", file, path, want, description)
			}
			name := path[strings.LastIndex(path, ".")+1:]
			if want := fmt.Sprintf("'%s is %%d, must be %d to %d", name, least, most); !strings.HasPrefix(rule["messageExpression"].(string), want) {
				t.Errorf("%s: the message of %s is %s, want %s", file, path, rule["messageExpression"], want)
			}
		})
		if seen < 12 {
			t.Errorf("%s: only %d ranges were found", file, seen)
		}
	}
}

// What is filled in on storing hides what the class says, and what is built in
// could not change any more.
func TestOnlyReplicasHasADefaultInTheSchema(t *testing.T) {
	for _, file := range []string{"websocketproxies", "websocketproxyclasses"} {
		walkSchema("spec", specSchema(t, file), func(path string, schema map[string]any) {
			// Ports and selectors inside the types of Kubernetes come with their own.
			if _, ok := schema["default"]; ok && path != "spec.replicas" {
				t.Errorf("%s: %s has a default", file, path)
			}
		})
	}
}

func specSchema(t *testing.T, plural string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile("../../config/crd/bases/wsproxy.io_" + plural + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties map[string]map[string]any `json:"properties"`
					} `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := utilyaml.Unmarshal(raw, &crd); err != nil {
		t.Fatal(err)
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	if spec == nil {
		t.Fatalf("%s has no schema of spec", plural)
	}
	return spec
}

func walkSchema(path string, schema map[string]any, f func(path string, schema map[string]any)) {
	f(path, schema)
	if properties, ok := schema["properties"].(map[string]any); ok {
		for name, child := range properties {
			walkSchema(path+"."+name, child.(map[string]any), f)
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		walkSchema(path+"[]", items, f)
	}
}
