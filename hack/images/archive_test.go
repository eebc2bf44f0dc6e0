// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// untar returns the files of a tar by name.
func untar(t *testing.T, raw []byte) map[string]file {
	t.Helper()
	files := map[string]file{}
	r := tar.NewReader(bytes.NewReader(raw))
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.ModTime.Unix() != 0 || header.Uid != 0 {
			t.Errorf("%s has time %v and owner %d", header.Name, header.ModTime, header.Uid)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = file{header.Name, header.Mode, content}
	}
}

// packed packs a made-up binary and returns the archive.
func packed(t *testing.T, certificates []byte) []byte {
	t.Helper()
	folder := t.TempDir()
	binary, archive := filepath.Join(folder, "program"), filepath.Join(folder, "program.tar")
	if err := os.WriteFile(binary, []byte("machine code"), 0o600); err != nil {
		t.Fatal(err)
	}
	i, err := imageOf("program", binary, "amd64", certificates, provenance{})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeArchive(archive, i); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAnArchiveNamesItsPartsByTheirDigests(t *testing.T) {
	archive := untar(t, packed(t, []byte("certificates")))
	var manifests []manifest
	if err := json.Unmarshal(archive["manifest.json"].content, &manifests); err != nil {
		t.Fatal(err)
	}
	if len(manifests) != 1 || !slices.Equal(manifests[0].RepoTags, []string{"localhost/wsproxy/program:dev"}) {
		t.Fatalf("manifest is %+v", manifests)
	}
	var config imageConfig
	if err := json.Unmarshal(archive[manifests[0].Config].content, &config); err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/program"}) {
		t.Errorf("config is %+v", config.Config)
	}
	files := map[string]file{}
	for i, name := range manifests[0].Layers {
		raw := archive[name].content
		if got := digest(raw); got != config.RootFS.DiffIDs[i] {
			t.Errorf("layer %s has digest %s, the config says %s", name, got, config.RootFS.DiffIDs[i])
		}
		for name, f := range untar(t, raw) {
			files[name] = f
		}
	}
	if f := files["program"]; string(f.content) != "machine code" || f.mode != 0o755 {
		t.Errorf("program has mode %o and content %q", f.mode, f.content)
	}
	if f := files["etc/ssl/certs/ca-certificates.crt"]; string(f.content) != "certificates" {
		t.Errorf("certificates are %q", f.content)
	}
	if !bytes.Contains(files["etc/passwd"].content, []byte("nonroot:x:65532:")) {
		t.Errorf("passwd is %q", files["etc/passwd"].content)
	}
}

func TestTheSameInputsGiveTheSameArchive(t *testing.T) {
	if !bytes.Equal(packed(t, []byte("certificates")), packed(t, []byte("certificates"))) {
		t.Error("two archives of the same binary differ")
	}
}

func TestWithoutCertificatesThereIsNoEmptyFile(t *testing.T) {
	base := untar(t, untar(t, packed(t, nil))["base.tar"].content)
	if f, ok := base["etc/ssl/certs/ca-certificates.crt"]; ok {
		t.Errorf("the layer has %+v", f)
	}
}
