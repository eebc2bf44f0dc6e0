// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package native

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed src
var sources embed.FS

// Programs are the paths of the programs.
type Programs struct {
	Load, Backend, Relay string
}

// Compiler returns the C compiler, or an error where there is none.
func Compiler() (string, error) {
	return exec.LookPath(cmp.Or(os.Getenv("CC"), "gcc"))
}

// Build compiles the programs into a directory.
func Build(ctx context.Context, dir string) (Programs, error) {
	compiler, err := Compiler()
	if err != nil {
		return Programs{}, fmt.Errorf("the programs of the benchmark need a C compiler: %w", err)
	}
	src := filepath.Join(dir, "src")
	if err := os.RemoveAll(src); err != nil {
		return Programs{}, err
	}
	if err := os.CopyFS(dir, sources); err != nil {
		return Programs{}, fmt.Errorf("unpack sources: %w", err)
	}
	programs := Programs{Load: filepath.Join(dir, "load"), Backend: filepath.Join(dir, "backend"), Relay: filepath.Join(dir, "relay")}
	for _, path := range []string{programs.Load, programs.Backend, programs.Relay} {
		source := filepath.Join(src, filepath.Base(path)+".c")
		build := exec.CommandContext(ctx, compiler, "-O2", "-Wall", "-Wextra", "-pthread", "-o", path, source) // #nosec G204 -- $CC is the caller's.
		if output, err := build.CombinedOutput(); err != nil {
			return Programs{}, fmt.Errorf("compile %s: %w: %s", source, err, output)
		}
	}
	return programs, nil
}
