// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package markdown_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/hack/docs/markdown"
)

const page = `# A page: with "words"

See [there](there.md#here) and not ` + "`[this](code)`" + `.

<!-- prints: ^two -->
<!-- prints: three$ -->
` + "```sh" + `
echo "one | two"
# not a heading
` + "```" + `

<!-- not run: it takes a year -->
` + "```sh title" + `
sleep 31536000
` + "```" + `

| a | b |
|---|---|
| ` + "`x`" + ` y | |
| z | [w](#w) |

## A second one

` + "```json" + `
{}
` + "```" + `
`

func TestParseFindsBlocksTablesAndLinks(t *testing.T) {
	d, err := markdown.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"there.md#here", "#w"}; !slices.Equal(d.Links, want) {
		t.Errorf("links %q, want %q", d.Links, want)
	}
	if want := []string{"a-page-with-words", "a-second-one"}; !slices.Equal(d.Anchors, want) {
		t.Errorf("anchors %q, want %q", d.Anchors, want)
	}
	if len(d.Blocks) != 3 {
		t.Fatalf("%d blocks", len(d.Blocks))
	}
	first, second, third := d.Blocks[0], d.Blocks[1], d.Blocks[2]
	if first.Text != "echo \"one | two\"\n# not a heading\n" || first.Line != 7 || len(first.Prints) != 2 || first.NotRun != "" {
		t.Errorf("first: %+v", first)
	}
	if second.Language != "sh" || second.NotRun != "it takes a year" || second.Prints != nil {
		t.Errorf("second: %+v", second)
	}
	if third.Language != "json" || third.Anchor != "a-second-one" || third.NotRun != "" {
		t.Errorf("third: %+v", third)
	}
	if len(d.Tables) != 1 || len(d.Tables[0].Rows) != 2 || !slices.Equal(d.Tables[0].Rows[0], []string{"`x` y", ""}) {
		t.Errorf("tables: %+v", d.Tables)
	}
	if got := markdown.Code(d.Tables[0].Rows[0][0]); got != "x" {
		t.Errorf("code %q", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct{ page, says string }{
		"a block without an end": {"```sh\n", "1: the block has no end"},
		"a short row":            {"| a | b |\n|---|---|\n| c |\n", "3: a row has 1 cells, want 2"},
		"a pattern that is none": {"<!-- prints: ( -->\n", "1: prints"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := markdown.Parse(test.page); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}
