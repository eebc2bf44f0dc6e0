// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The Dockerfile is not built where there is no engine; this at least keeps its
// targets those of this command.
func TestTheDockerfileHasATargetForEachImage(t *testing.T) {
	raw, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	dockerfile := string(raw)
	for _, image := range images {
		for _, line := range []string{
			"FROM base AS " + image.name + "\n",
			"COPY --from=build /out/" + image.name + " /" + image.name + "\n",
			`ENTRYPOINT ["/` + image.name + `"]` + "\n",
		} {
			if got, want := strings.Contains(dockerfile, line), exists(filepath.Join("../..", image.pkg)); got != want {
				t.Errorf("%q is in the Dockerfile: %t; there is a %s: %t", line, got, image.pkg, want)
			}
		}
	}
	for _, content := range []string{passwd, group} {
		if quoted := strings.ReplaceAll(content, "\n", `\n`); !strings.Contains(dockerfile, "printf '"+quoted+"'") {
			t.Errorf("the Dockerfile does not write %q", content)
		}
	}
}
