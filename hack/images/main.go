// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
)

// images are what can be packed: the name of the image and of its binary, and
// the package of its command.
var images = []struct{ name, pkg string }{
	{"operator", "./cmd/operator"},
	{"apiserver", "./cmd/apiserver"},
	{"dataplane", "./cmd/dataplane"},
	{"echo", "./hack/echo"},
}

type flags struct {
	out, bin, version, arch, certificates string
	archives                              bool
}

func main() {
	var f flags
	flag.StringVar(&f.bin, "bin", "bin", "folder for the binaries")
	flag.StringVar(&f.out, "out", "bin/images", "folder for the archives")
	flag.StringVar(&f.version, "version", "dev", "version that the binaries report")
	flag.StringVar(&f.arch, "arch", runtime.GOARCH, "architecture of the images (GOARCH)")
	flag.StringVar(&f.certificates, "certificates", "/etc/ssl/certs/ca-certificates.crt", "CA certificates for the images; left out where the file is missing")
	flag.BoolVar(&f.archives, "archives", true, "pack the binaries, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, f); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// run builds and packs every image whose command exists.
func run(ctx context.Context, f flags) error {
	certificates, err := os.ReadFile(f.certificates)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read CA certificates: %w", err)
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil { // #nosec G301 -- archives are no secret.
		return fmt.Errorf("make folder: %w", err)
	}
	for _, image := range images {
		if !exists(image.pkg) {
			continue
		}
		binary := filepath.Join(f.bin, image.name)
		// The first build takes minutes, and somebody may be waiting.
		fmt.Fprintln(os.Stderr, "building", binary)
		if err := build(ctx, binary, image.pkg, f.version, f.arch); err != nil {
			return fmt.Errorf("build %s: %w", image.name, err)
		}
		if !f.archives {
			continue
		}
		archive := filepath.Join(f.out, image.name+".tar")
		if err := pack(archive, image.name, binary, f.arch, certificates); err != nil {
			return fmt.Errorf("pack %s: %w", image.name, err)
		}
		fmt.Fprintln(os.Stderr, "packed  ", archive, "as", tag(image.name))
	}
	return nil
}

// exists says whether there is a Go package in a folder.
func exists(folder string) bool {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	return err == nil && len(files) > 0
}
