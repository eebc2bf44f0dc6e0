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
	"strings"
)

// images are what can be packed: the name of the image and of its binary, the
// package of its command, and what it is.
var images = []struct{ name, pkg, title string }{
	{"operator", "./cmd/operator", "Turns WebSocketProxies into pods and brings settings to them."},
	{"apiserver", "./cmd/apiserver", "Serves live WebSocket connections as objects of the Kubernetes API."},
	{"dataplane", "./cmd/dataplane", "Proxies WebSocket connections."},
	{"echo", "./hack/echo", "A WebSocket backend for trying things out."},
}

type flags struct {
	out, bin, arch, certificates string
	registry, created            string
	linked                       stamp
	archives                     bool
}

func main() {
	var f flags
	flag.StringVar(&f.bin, "bin", "bin", "folder for the binaries; with -registry they are in folders linux_ARCH of it")
	flag.StringVar(&f.out, "out", "bin/images", "folder for the archives")
	flag.StringVar(&f.linked.version, "version", "dev", "version that the binaries report")
	flag.StringVar(&f.linked.commit, "commit", "unknown", "commit that they report")
	flag.StringVar(&f.arch, "arch", runtime.GOARCH, "architecture of the images (GOARCH); with -registry several, separated by commas")
	flag.StringVar(&f.certificates, "certificates", "/etc/ssl/certs/ca-certificates.crt", "CA certificates for the images; left out where the file is missing")
	flag.BoolVar(&f.archives, "archives", true, "pack the binaries, too")
	flag.StringVar(&f.registry, "registry", "", "write the images of a release for this registry, as OCI layouts")
	flag.StringVar(&f.created, "created", "", "time in RFC 3339 that the images of a release say they were made at")
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
	if err != nil && (f.registry != "" || !errors.Is(err, fs.ErrNotExist)) {
		return fmt.Errorf("read CA certificates: %w", err)
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil { // #nosec G301 -- archives are no secret.
		return fmt.Errorf("make folder: %w", err)
	}
	for _, i := range images {
		if !exists(i.pkg) {
			continue
		}
		if f.registry != "" {
			err = release(ctx, f, i.name, i.pkg, i.title, certificates)
		} else {
			err = develop(ctx, f, i.name, i.pkg, certificates)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// develop makes the archive of one image for this machine.
func develop(ctx context.Context, f flags, name, pkg string, certificates []byte) error {
	binary := filepath.Join(f.bin, name)
	if err := built(ctx, binary, pkg, f.linked, f.arch); err != nil || !f.archives {
		return err
	}
	i, err := imageOf(name, binary, f.arch, certificates, provenance{})
	archive := filepath.Join(f.out, name+".tar")
	if err == nil {
		err = writeArchive(archive, i)
	}
	if err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	fmt.Fprintln(os.Stderr, "packed  ", archive, "as", tag(name))
	return nil
}

// release makes the layout of one image for all architectures.
func release(ctx context.Context, f flags, name, pkg, title string, certificates []byte) error {
	labels := annotations(f, "wsproxy "+name, title)
	var all []image
	for arch := range strings.SplitSeq(f.arch, ",") {
		binary := filepath.Join(f.bin, "linux_"+arch, name)
		if err := built(ctx, binary, pkg, f.linked, arch); err != nil {
			return err
		}
		i, err := imageOf(name, binary, arch, certificates, provenance{f.created, labels})
		if err != nil {
			return fmt.Errorf("pack %s: %w", name, err)
		}
		all = append(all, i)
	}
	reference := f.registry + "/wsproxy/" + name + ":" + f.linked.version
	archive := filepath.Join(f.out, fmt.Sprintf("wsproxy-%s_%s.oci.tar", name, strings.TrimPrefix(f.linked.version, "v")))
	if err := writeLayout(archive, reference, all, labels); err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	fmt.Fprintln(os.Stderr, "packed  ", archive, "as", reference)
	return nil
}

// annotations are those of the OCI Image Format Specification, "Pre-Defined
// Annotation Keys".
func annotations(f flags, title, description string) map[string]string {
	const key = "org.opencontainers.image."
	return map[string]string{
		key + "title": title, key + "description": description,
		key + "version": f.linked.version, key + "revision": f.linked.commit, key + "created": f.created,
		key + "source": "https://github.com/wsproxy/wsproxy", key + "licenses": "Apache-2.0",
	}
}

func built(ctx context.Context, binary, pkg string, linked stamp, arch string) error {
	// The first build takes minutes, and somebody may be waiting.
	fmt.Fprintln(os.Stderr, "building", binary)
	if err := build(ctx, binary, pkg, linked, arch); err != nil {
		return fmt.Errorf("build %s: %w", binary, err)
	}
	return nil
}

// exists says whether there is a Go package in a folder.
func exists(folder string) bool {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	return err == nil && len(files) > 0
}
