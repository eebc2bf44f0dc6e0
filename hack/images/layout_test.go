// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// laidOut makes a layout of a program for two architectures, and returns the tar.
func laidOut(t *testing.T) []byte {
	t.Helper()
	folder := t.TempDir()
	var all []image
	for _, arch := range []string{"amd64", "arm64"} {
		binary := filepath.Join(folder, arch)
		if err := os.WriteFile(binary, []byte("machine code of "+arch), 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := imageOf("program", binary, arch, []byte("certificates"), provenance{"2026-11-22T00:00:00Z", map[string]string{"label": "one"}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, i)
	}
	archive := filepath.Join(folder, "program.oci.tar")
	if err := writeLayout(archive, "registry.example:5000/wsproxy/program:v1.2.3", all, map[string]string{"annotation": "two"}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// blob returns what a descriptor names, which must be there and be what it says.
func blob(t *testing.T, layout map[string]file, d descriptor) []byte {
	t.Helper()
	content := layout["blobs/"+strings.Replace(d.Digest, ":", "/", 1)].content
	if digest(content) != d.Digest || len(content) != d.Size {
		t.Fatalf("%+v: there are %d bytes with digest %s", d, len(content), digest(content))
	}
	return content
}

func decode[T any](t *testing.T, raw []byte) T {
	t.Helper()
	var to T
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&to); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return to
}

func TestALayoutHasOneImageForEveryArchitecture(t *testing.T) {
	layout := untar(t, laidOut(t))
	top := decode[ociIndex](t, layout["index.json"].content)
	if len(top.Manifests) != 1 || top.Manifests[0].MediaType != typeIndex {
		t.Fatalf("the index is %+v", top)
	}
	names := top.Manifests[0].Annotations
	if names["io.containerd.image.name"] != "registry.example:5000/wsproxy/program:v1.2.3" || names["org.opencontainers.image.ref.name"] != "v1.2.3" {
		t.Errorf("it is called %v", names)
	}
	all := decode[ociIndex](t, blob(t, layout, top.Manifests[0]))
	var platforms []string
	for _, d := range all.Manifests {
		m := decode[ociManifest](t, blob(t, layout, d))
		config := decode[imageConfig](t, blob(t, layout, m.Config))
		platforms = append(platforms, d.Platform.OS+"/"+d.Platform.Architecture)
		if config.OS != d.Platform.OS || config.Architecture != d.Platform.Architecture || config.Created != "2026-11-22T00:00:00Z" || config.Config.Labels["label"] != "one" {
			t.Errorf("%+v says %+v", d.Platform, config)
		}
		if m.Annotations["annotation"] != "two" || len(m.Layers) != len(config.RootFS.DiffIDs) {
			t.Errorf("the manifest is %+v", m)
		}
		files := map[string]file{}
		for i, l := range m.Layers {
			raw := decompress(t, blob(t, layout, l))
			if digest(raw) != config.RootFS.DiffIDs[i] {
				t.Errorf("layer %d of %v is not what the config says", i, d.Platform)
			}
			for name, f := range untar(t, raw) {
				files[name] = f
			}
		}
		if got := string(files["program"].content); got != "machine code of "+d.Platform.Architecture {
			t.Errorf("the program for %v is %q", d.Platform, got)
		}
	}
	if !slices.Equal(platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("it is for %v", platforms)
	}
	// Two files, an index, and two manifests, configs and programs, but one layer
	// that both share.
	if len(layout) != 2+1+2+2+2+1 {
		t.Errorf("there are %d files", len(layout))
	}
}

func TestTheSameInputsGiveTheSameLayout(t *testing.T) {
	if !bytes.Equal(laidOut(t), laidOut(t)) {
		t.Error("two layouts of the same binaries differ")
	}
}

func decompress(t *testing.T, raw []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
