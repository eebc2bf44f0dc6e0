// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const values = `# How many
# there are.
count: 2
# A group.
group:
  # Handed on as it is.
  resources:
    requests: {cpu: 50m}
  # A group in it.
  inner:
    # One | two.
    name: ""
`

const tables = "| value | as it comes | what |\n|---|---|---|\n| `count` | `2` | How many there are. |\n" +
	"\n### `group`\n\nA group.\n\n| value | as it comes | what |\n|---|---|---|\n" +
	"| `group.resources` | `{\"requests\":{\"cpu\":\"50m\"}}` | Handed on as it is. |\n" +
	"| `group.inner` | | A group in it. |\n" +
	"| `group.inner.name` | `\"\"` | One \\| two. |\n"

func TestEveryValueHasARow(t *testing.T) {
	got, err := render([]byte(values))
	if err != nil || got != tables {
		t.Errorf("got %v and\n%s\nwant\n%s", err, got, tables)
	}
}

func TestAValueThatNothingIsSaidAboutIsAnError(t *testing.T) {
	for what, values := range map[string]string{
		"alone": "# The first.\none: 1\ntwo: 2\n",
		"inner": "# A group.\none:\n  # Said.\n  a: 1\n  two: 2\n",
	} {
		if _, err := render([]byte(values)); err == nil || !strings.Contains(err.Error(), "two") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := render([]byte("- list\n")); err == nil {
		t.Error("a list was taken for values")
	}
}

func TestTheTablesAreReplaced(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("values.yaml", values)
	write("README.md", "before\n"+begin+"old\n"+end+"after\n")
	want := "before\n" + begin + "\n" + tables + "\n" + end + "after\n"
	for range 2 {
		if err := run(dir); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil || string(got) != want {
			t.Errorf("got %v and\n%s\nwant\n%s", err, got, want)
		}
	}
	write("README.md", "nothing\n")
	if err := run(dir); err == nil {
		t.Error("a README without a place for them was accepted")
	}
}

// `make generate` writes it.
func TestTheReadmeOfTheChartIsCurrent(t *testing.T) {
	const chart = "../../charts/wsproxy"
	raw, err := os.ReadFile(chart + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := render(raw)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(chart + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), begin+"\n"+want+"\n"+end) {
		t.Error("the README says something else than values.yaml; run make generate")
	}
}
