// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// render returns the tables for a values.yaml in Markdown: one for what is at the top,
// and one for each group below it. Errors: what is no YAML, and everything that
// nothing is said about.
func render(values []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return "", err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return "", errors.New("no values")
	}
	r := &renderer{}
	top, groups := &strings.Builder{}, &strings.Builder{}
	for key, value := range pairs(document.Content[0]) {
		if !isGroup(value) {
			r.row(top, key.Value, key, value)
			continue
		}
		fmt.Fprintf(groups, "\n### `%s`\n\n%s\n\n%s", key.Value, r.said(key.Value, key), header)
		r.rows(groups, key.Value, value)
	}
	return header + top.String() + groups.String(), errors.Join(r.problems...)
}

const header = "| value | as it comes | what |\n|---|---|---|\n"

type renderer struct {
	problems []error
}

// rows writes one for each value of a group, and of the groups in it.
func (r *renderer) rows(to *strings.Builder, path string, group *yaml.Node) {
	for key, value := range pairs(group) {
		path := path + "." + key.Value
		if !isGroup(value) {
			r.row(to, path, key, value)
			continue
		}
		fmt.Fprintf(to, "| `%s` | | %s |\n", path, cell(r.said(path, key)))
		r.rows(to, path, value)
	}
}

func (r *renderer) row(to *strings.Builder, path string, key, value *yaml.Node) {
	var decoded any
	err := value.Decode(&decoded)
	text, encoding := json.Marshal(decoded)
	if err := errors.Join(err, encoding); err != nil {
		r.problems = append(r.problems, fmt.Errorf("line %d: %s: %w", key.Line, path, err))
	}
	fmt.Fprintf(to, "| `%s` | `%s` | %s |\n", path, cell(string(text)), cell(r.said(path, key)))
}

// said is the comment above a key, in one line.
func (r *renderer) said(path string, key *yaml.Node) string {
	var words []string
	for line := range strings.Lines(key.HeadComment) {
		words = append(words, strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "#"))...)
	}
	if len(words) == 0 {
		r.problems = append(r.problems, fmt.Errorf("line %d: nothing is said about %s", key.Line, path))
	}
	return strings.Join(words, " ")
}

// cell is text for a cell of a table, which a bar would end.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// isGroup says whether a value is made of values of their own, not one that is handed to
// Kubernetes as it is: one of those has no comment in it.
func isGroup(value *yaml.Node) bool {
	if value.Kind != yaml.MappingNode {
		return false
	}
	for key := range pairs(value) {
		if key.HeadComment != "" {
			return true
		}
	}
	return false
}

// pairs are the keys and values of a mapping.
func pairs(mapping *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			if !yield(mapping.Content[i], mapping.Content[i+1]) {
				return
			}
		}
	}
}
