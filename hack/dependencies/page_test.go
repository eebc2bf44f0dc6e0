// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package dependencies

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

var (
	heading = regexp.MustCompile("^##+ `([^`]+go\\.mod|go\\.mod)`$")
	row     = regexp.MustCompile("^\\| `([^`]+)` \\|.* ([^| ]+) \\|$")
)

// named returns what the page names below the heading of each go.mod. A row
// without words for its reason names nothing.
func named(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs/dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	var section string
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			section = ""
			if m := heading.FindStringSubmatch(line); m != nil {
				section = m[1]
				found[section] = nil
			}
		} else if m := row.FindStringSubmatch(line); m != nil && section != "" {
			found[section] = append(found[section], m[1])
		}
	}
	return found
}

// required returns what a go.mod asks for by name: its tools, and the modules
// that are not there for others.
func required(t *testing.T, file string) []string {
	t.Helper()
	edit := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", filepath.Join(root, file))
	raw, err := edit.Output()
	if err != nil {
		t.Fatal(err)
	}
	var module struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Tool []struct{ Path string }
	}
	if err := json.Unmarshal(raw, &module); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range module.Require {
		if !r.Indirect {
			names = append(names, r.Path)
		}
	}
	for _, tool := range module.Tool {
		names = append(names, tool.Path)
	}
	return names
}

// modules returns the paths of all go.mod files.
func modules(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "dist"):
			return filepath.SkipDir
		case name == "go.mod":
			relative, err := filepath.Rel(root, path)
			found = append(found, relative)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryDependencyHasItsReason(t *testing.T) {
	page := named(t)
	for _, file := range modules(t) {
		want, got := required(t, file), page[file]
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("docs/dependencies.md names for %s\n%s\nit requires\n%s", file, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		delete(page, file)
	}
	for file := range page {
		t.Errorf("docs/dependencies.md has %s, which is not there", file)
	}
}
