// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const head = `# Every field

<!-- Written by make generate from api/v1alpha1. Do not edit. -->

What a WebSocketProxy and a WebSocketProxyClass may say. Every field is optional, unless it says *required*. Where a proxy
says nothing it inherits what its class says, field by field, and where that says nothing, what is built in: [who inherits
what](classes.md). What is in force, and where it comes from, is in the status:

` + "```sh" + `
kubectl ws settings echo
kubectl get wsp echo -o jsonpath='{.status.effectiveLimits}{.status.effectiveDrain}'
` + "```" + `

The same text is in the terminal: ` + "`kubectl explain wsp.spec.settings.retryDelay`" + `. A value that cannot be is refused by the
API server, with the field and what it must be.
`

// sections are the parts of a WebSocketProxy's spec in the order in which they matter.
var sections = []string{"settings", "reconnect", "limits", "drain", "listen", "upstream", "service", "podTemplate"}

// foreign are fields whose own fields are documented by Kubernetes.
var foreign = map[string]string{
	"resources":                 "ResourceRequirements",
	"tolerations":               "list of Tolerations",
	"affinity":                  "Affinity",
	"topologySpreadConstraints": "list of TopologySpreadConstraints",
}

// render returns the page that the CRDs in a folder say.
func render(folder string) (string, error) {
	proxy, err := specOf(filepath.Join(folder, "wsproxy.io_websocketproxies.yaml"))
	if err != nil {
		return "", err
	}
	class, err := specOf(filepath.Join(folder, "wsproxy.io_websocketproxyclasses.yaml"))
	if err != nil {
		return "", err
	}
	var page strings.Builder
	page.WriteString(head)
	for _, name := range sections {
		section, there := proxy.Properties[name]
		if !there {
			return "", fmt.Errorf("a WebSocketProxy has no spec.%s", name)
		}
		fmt.Fprintf(&page, "\n## spec.%s\n\n%s\n\n", name, section.Description)
		table(&page, section)
	}
	rest := proxy.DeepCopy()
	own := class.DeepCopy()
	for _, name := range sections {
		delete(rest.Properties, name)
		if name != "podTemplate" {
			delete(own.Properties, name)
		}
	}
	page.WriteString("\n## The rest of a WebSocketProxy's spec\n\n")
	table(&page, *rest)
	page.WriteString("\n## The spec of a WebSocketProxyClass\n\nA class has `settings`, `limits` and `drain` like a proxy, and:\n\n")
	delete(own.Properties, "podTemplate")
	table(&page, *own)
	return page.String(), nil
}

// specOf reads the schema of spec from a CRD.
func specOf(file string) (apiextensionsv1.JSONSchemaProps, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return apiextensionsv1.JSONSchemaProps{}, err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(raw, crd); err != nil {
		return apiextensionsv1.JSONSchemaProps{}, fmt.Errorf("%s: %w", file, err)
	}
	if len(crd.Spec.Versions) != 1 {
		return apiextensionsv1.JSONSchemaProps{}, fmt.Errorf("%s: %d versions, want one", file, len(crd.Spec.Versions))
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"], nil
}

func table(page *strings.Builder, of apiextensionsv1.JSONSchemaProps) {
	page.WriteString("| field | type | range | built in | what it is |\n|---|---|---|---|---|\n")
	rows(page, "", of)
}

func rows(page *strings.Builder, prefix string, of apiextensionsv1.JSONSchemaProps) {
	for _, name := range slices.Sorted(maps.Keys(of.Properties)) {
		field := of.Properties[name]
		kind := kindOf(name, field)
		text, span, builtIn := dissect(name, field.Description)
		if slices.Contains(of.Required, name) {
			text = "*Required.* " + text
		}
		fmt.Fprintf(page, "| `%s` | %s | %s | %s | %s |\n", prefix+name, kind, span, builtIn, text)
		if _, known := foreign[name]; !known && len(field.Properties) > 0 {
			rows(page, prefix+name+".", field)
		}
	}
}

// kindOf is a word for the type of a field.
func kindOf(name string, field apiextensionsv1.JSONSchemaProps) string {
	if kind, known := foreign[name]; known && field.Type != "boolean" {
		return kind
	}
	switch {
	case field.Type == "array" && field.Items != nil && field.Items.Schema != nil:
		return "list of " + field.Items.Schema.Type + "s"
	case field.Type == "object" && field.AdditionalProperties != nil:
		return "map"
	}
	return field.Type
}

var (
	ranged  = regexp.MustCompile(`Range (\d+) to (\d+)(?: \(([^)]*)\))?(?:, (?:built in|default) ([^.]+))?\. ?`)
	builtIn = regexp.MustCompile(`Built in (\w+)(\. ?|, )`)
	named   = regexp.MustCompile(`^(\w+) (is|are|says|bounds|sets|makes|shapes|shape|names|selects|adds) `)
)

// dissect takes the name of a field, its range and its built-in value out of its
// description.
func dissect(name, description string) (text, span, value string) {
	text = strings.Join(strings.Fields(description), " ")
	if found := named.FindStringSubmatch(text); found != nil && found[1] == name {
		text = text[len(found[0]):]
		if found[2] != "is" && found[2] != "are" {
			text = found[2] + " " + text
		}
	}
	if found := ranged.FindStringSubmatch(text); found != nil {
		span, value = found[1]+"–"+found[2], found[4]
		if found[3] != "" {
			span += " (" + found[3] + ")"
		}
		text = strings.Replace(text, found[0], "", 1)
	}
	if found := builtIn.FindStringSubmatch(text); found != nil {
		value = found[1]
		if found[2] != ", " { // Behind a comma it says why.
			text = strings.Replace(text, found[0], "", 1)
		}
	}
	text = strings.TrimSpace(text)
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return plain.Replace(text), span, value
}

// plain keeps Markdown from seeing what is not meant for it.
var plain = strings.NewReplacer("<", "&lt;", "*", `\*`)
