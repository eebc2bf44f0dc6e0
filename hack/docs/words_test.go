// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/wsproxy/wsproxy/hack/docs/markdown"
)

// Every word by which the code says that something is wrong has a row in the page, in
// the table for its kind, and every row has such a word.
func TestTroubleshootingKnowsEveryWord(t *testing.T) {
	page, err := markdown.Read(root + "/docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	for anchor, words := range map[string][]string{
		"the-conditions-of-a-proxy":          constants(t, "api/v1alpha1/status_types.go", "Reason"),
		"a-client-is-not-let-in":             constants(t, "dataplane/handshake/reason.go", "Reason"),
		"a-connection-has-ended":             constants(t, "dataplane/relay/core/cause.go", "Cause"),
		"a-connection-cannot-be-reconnected": append(constants(t, "dataplane/relay/core/hold.go", "Not"), assigned(t, "dataplane/relay/conn.go", "NotReconnectable")...),
		"an-alert-fires":                     alerts(t, "charts/wsproxy/files/rules/wsproxy.yaml"),
	} {
		var rows []string
		for _, table := range page.Tables {
			if table.Anchor == anchor {
				for _, row := range table.Rows {
					rows = append(rows, markdown.Code(row[0]))
				}
			}
		}
		slices.Sort(rows)
		slices.Sort(words)
		words = slices.Compact(words)
		for _, word := range words {
			if !slices.Contains(rows, word) {
				t.Errorf("%s lacks %s", anchor, word)
			}
		}
		for i, row := range rows {
			if !slices.Contains(words, row) {
				t.Errorf("%s has %s, which the code does not say", anchor, row)
			}
			if i > 0 && rows[i-1] == row {
				t.Errorf("%s has %s twice", anchor, row)
			}
		}
	}
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), root+"/"+file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// constants returns the values of a file's constants whose names begin like that.
func constants(t *testing.T, file, prefix string) []string {
	t.Helper()
	var found []string
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if !is {
			return true
		}
		for i, name := range spec.Names {
			if strings.HasPrefix(name.Name, prefix) && i < len(spec.Values) {
				found = append(found, literals(spec.Values[i])...)
			}
		}
		return true
	})
	return some(t, file, found)
}

// assigned returns the strings that a file assigns to a field.
func assigned(t *testing.T, file, field string) []string {
	t.Helper()
	var found []string
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		assignment, is := n.(*ast.AssignStmt)
		if !is {
			return true
		}
		if to, is := assignment.Lhs[0].(*ast.SelectorExpr); is && to.Sel.Name == field {
			found = append(found, literals(assignment.Rhs[0])...)
		}
		return true
	})
	return some(t, file, found)
}

func literals(e ast.Expr) []string {
	if literal, is := e.(*ast.BasicLit); is && literal.Kind == token.STRING {
		if value, err := strconv.Unquote(literal.Value); err == nil {
			return []string{value}
		}
	}
	return nil
}

// some fails where nothing was found: then it is looked for in the wrong place.
func some(t *testing.T, file string, found []string) []string {
	t.Helper()
	if len(found) == 0 {
		t.Errorf("%s has none", file)
	}
	return found
}

// alerts returns the names of the alerts in a file of Prometheus rules.
func alerts(t *testing.T, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(root + "/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert string `json:"alert"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(raw, &rules); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var found []string
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				found = append(found, rule.Alert)
			}
		}
	}
	return some(t, file, found)
}
