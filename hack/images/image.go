// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
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

// image is a binary, users and CA certificates and nothing else: no shell, and no
// /tmp.
type image struct {
	name, arch string
	// Uncompressed layers: what all images share, and the binary.
	layers [][]byte
	config []byte
}

// The configuration of an image is the same in both formats (Docker Image
// Specification v1.2; OCI Image Format Specification, "Image Configuration").
type (
	imageConfig struct {
		Created      string          `json:"created,omitempty"`
		Architecture string          `json:"architecture"`
		OS           string          `json:"os"`
		Config       containerConfig `json:"config"`
		RootFS       rootFS          `json:"rootfs"`
	}
	containerConfig struct {
		User       string
		Entrypoint []string
		WorkingDir string
		Labels     map[string]string `json:",omitempty"`
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
)

// provenance is what an image says of itself that others read: when its commit was
// made, in RFC 3339, and its labels. An image of a developer says nothing.
type provenance struct {
	created string
	labels  map[string]string
}

// imageOf reads a binary.
func imageOf(name, binary, arch string, certificates []byte, from provenance) (image, error) {
	program, err := os.ReadFile(binary) // #nosec G304 -- the developer's own file.
	if err != nil {
		return image{}, fmt.Errorf("read binary: %w", err)
	}
	base, err := layer(
		file{"etc/passwd", 0o644, []byte(passwd)},
		file{"etc/group", 0o644, []byte(group)},
		file{"etc/ssl/certs/ca-certificates.crt", 0o644, certificates},
	)
	if err != nil {
		return image{}, err
	}
	top, err := layer(file{name, 0o755, program})
	if err != nil {
		return image{}, err
	}
	config, err := json.Marshal(imageConfig{
		Created:      from.created,
		Architecture: arch,
		OS:           "linux",
		Config: containerConfig{
			User:       fmt.Sprintf("%d:%d", user, user),
			Entrypoint: []string{"/" + name},
			WorkingDir: "/",
			Labels:     from.labels,
		},
		RootFS: rootFS{Type: "layers", DiffIDs: []string{digest(base), digest(top)}},
	})
	if err != nil {
		return image{}, fmt.Errorf("encode config: %w", err)
	}
	return image{name: name, arch: arch, layers: [][]byte{base, top}, config: config}, nil
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
