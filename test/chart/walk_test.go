// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"io/fs"
	"os"
	"path/filepath"
)

// walk calls see with every file below a folder.
func walk(dir string, see func(path, content string)) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			see(path, string(content))
		}
		return err
	})
}
