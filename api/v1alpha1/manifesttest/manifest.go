// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package manifesttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Manifest is one row of a table.
type Manifest struct {
	// Name of the file without its ending.
	Name string
	// YAML is the whole file.
	YAML []byte
	// Field that the error must name; empty where there must be no error.
	Field string
	// Says is what the error must contain.
	Says []string
}

// Read returns the table in a folder, in the order of the names. It fails the
// test where the folder has no manifest.
func Read(t testing.TB, folder string) []Manifest {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no manifests in %s", folder)
	}
	table := make([]Manifest, 0, len(files))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := Manifest{Name: strings.TrimSuffix(filepath.Base(file), ".yaml"), YAML: raw}
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSuffix(line, "\n")
			if field, ok := strings.CutPrefix(line, "# field: "); ok {
				m.Field = field
			} else if text, ok := strings.CutPrefix(line, "# says: "); ok {
				m.Says = append(m.Says, text)
			} else {
				break
			}
		}
		table = append(table, m)
	}
	return table
}

// Refused reports whether message says everything that the manifest's error must
// say.
func (m Manifest) Refused(t testing.TB, message string) {
	t.Helper()
	for _, text := range m.Says {
		if !strings.Contains(message, text) {
			t.Errorf("the error does not say %q:\n%s", text, message)
		}
	}
}

// Names reports whether an error at field counts as one that names the manifest's
// field: it is that field, or one inside it.
func (m Manifest) Names(field string) bool {
	rest, ok := strings.CutPrefix(field, m.Field)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
