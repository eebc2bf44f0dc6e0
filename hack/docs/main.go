// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	crds     = "config/crd/bases"
	settings = "docs/settings.md"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

// run writes the page in a checkout of the repository.
func run(root string) error {
	page, err := render(filepath.Join(root, crds))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, settings), []byte(page), 0o644) // #nosec G306 -- a page of documentation.
}
