// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/hack/docs/markdown"
)

// pages are those that users read.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(found) < 10 {
		t.Fatalf("%d pages: %v", len(found), err)
	}
	return append(found, root+"/README.md", root+"/CONTRIBUTING.md", root+"/ARCHITECTURE.md", root+"/charts/wsproxy/README.md")
}

func read(t *testing.T, page string) *markdown.Document {
	t.Helper()
	d, err := markdown.Read(page)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, link := range read(t, page).Links {
			if strings.Contains(link, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s: %v", page, link, err)
				continue
			}
			if anchor != "" && strings.HasSuffix(target, ".md") && !slices.Contains(read(t, target).Anchors, anchor) {
				t.Errorf("%s: %s: there is no such heading", page, link)
			}
		}
	}
}

func TestEveryPageIsInTheIndex(t *testing.T) {
	links := read(t, root+"/docs/README.md").Links
	for _, page := range pages(t) {
		if name := filepath.Base(page); filepath.Base(filepath.Dir(page)) == "docs" && name != "README.md" && !slices.Contains(links, name) {
			t.Errorf("docs/README.md does not lead to %s", name)
		}
	}
}

// Whether a block is run must be what its author meant, and what is quoted from a file
// must stand there.
func TestBlocksAreOfAKnownKind(t *testing.T) {
	known := []string{"", "sh", "yaml", "go", "console", "text", "json", "promql", "lua"}
	for _, page := range pages(t) {
		for _, b := range read(t, page).Blocks {
			switch {
			case !slices.Contains(known, b.Language):
				t.Errorf("%s:%d: a block of %q; one of %v is wanted", page, b.Line, b.Language, known)
			case b.Language == "go" && b.From == "":
				t.Errorf("%s:%d: no comment says which file the code is from", page, b.Line)
			case b.Language == "yaml" && b.NotRun == "" && !strings.HasPrefix(b.Text, "apiVersion:") && !strings.Contains(b.Text, "\napiVersion:"):
				t.Errorf("%s:%d: a part of a manifest is shown to no API server: say why it is not run", page, b.Line)
			}
			if b.From == "" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(root, b.From))
			if err != nil {
				t.Errorf("%s:%d: %v", page, b.Line, err)
			} else if !strings.Contains(string(text), b.Text) {
				t.Errorf("%s:%d: that is not what %s says", page, b.Line, b.From)
			}
		}
	}
}
