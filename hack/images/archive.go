// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// user is who the containers run as, "nonroot" in many images without a
// distribution. It is a number, since a pod with runAsNonRoot refuses an image
// whose user it cannot tell from root.
const user = 65532

const (
	passwd = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n" // #nosec G101 -- users without passwords.
	group  = "root:x:0:\nnonroot:x:65532:\n"
)

// The parts of an archive that name the others (Docker Image Specification
// v1.2, "Combined Image JSON + Filesystem Changeset Format").
type (
	manifest struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	imageConfig struct {
		Architecture string          `json:"architecture"`
		OS           string          `json:"os"`
		Config       containerConfig `json:"config"`
		RootFS       rootFS          `json:"rootfs"`
	}
	containerConfig struct {
		User       string
		Entrypoint []string
		WorkingDir string
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
)

// pack writes the archive of the image localhost/wsproxy/<name>:dev, which holds
// a binary, users and CA certificates and nothing else: no shell, and no /tmp.
// The file is replaced as a whole, so nobody reads half of it.
func pack(archive, name, binary, arch string, certificates []byte) error {
	program, err := os.ReadFile(binary) // #nosec G304 -- the developer's own file.
	if err != nil {
		return fmt.Errorf("read binary: %w", err)
	}
	base, err := layer(
		file{"etc/passwd", 0o644, []byte(passwd)},
		file{"etc/group", 0o644, []byte(group)},
		file{"etc/ssl/certs/ca-certificates.crt", 0o644, certificates},
	)
	if err != nil {
		return err
	}
	top, err := layer(file{name, 0o755, program})
	if err != nil {
		return err
	}
	config, err := json.Marshal(imageConfig{
		Architecture: arch,
		OS:           "linux",
		Config: containerConfig{
			User:       fmt.Sprintf("%d:%d", user, user),
			Entrypoint: []string{"/" + name},
			WorkingDir: "/",
		},
		RootFS: rootFS{Type: "layers", DiffIDs: []string{digest(base), digest(top)}},
	})
	if err != nil {
		return fmt.Errorf("encode config: %w", err)
	}
	index, err := json.Marshal([]manifest{{
		Config:   "config.json",
		RepoTags: []string{tag(name)},
		Layers:   []string{"base.tar", "top.tar"},
	}})
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	return replace(archive, func(w io.Writer) error {
		return write(w, file{"manifest.json", 0o644, index}, file{"config.json", 0o644, config},
			file{"base.tar", 0o644, base}, file{"top.tar", 0o644, top})
	})
}

// tag is the name by which the manifests of config/ find an image.
func tag(name string) string { return "localhost/wsproxy/" + name + ":dev" }

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// file is a regular file of a layer or an archive.
type file struct {
	name    string
	mode    int64
	content []byte
}

// layer returns a tar with the files that have content.
func layer(files ...file) ([]byte, error) {
	var b bytes.Buffer
	err := write(&b, files...)
	return b.Bytes(), err
}

// write writes a tar without anything that differs between two machines: no
// times, no owners but root. Parent folders need no entries.
func write(w io.Writer, files ...file) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		if len(f.content) == 0 {
			continue
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content)), Format: tar.FormatUSTAR}
		if err := t.WriteHeader(header); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
		if _, err := t.Write(f.content); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("write end of tar: %w", err)
	}
	return nil
}

// replace puts a new file in the place of path.
func replace(path string, content func(io.Writer) error) error {
	half := path + ".half"
	f, err := os.Create(half) // #nosec G304 -- the developer's own file.
	if err != nil {
		return fmt.Errorf("create archive: %w", err)
	}
	err = content(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(half, path)
	}
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}
