// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// manifest is the part of an archive that names the others (Docker Image
// Specification v1.2, "Combined Image JSON + Filesystem Changeset Format").
type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// writeArchive writes what `docker save` would of the image
// localhost/wsproxy/<name>:dev.
func writeArchive(archive string, i image) error {
	index, err := json.Marshal([]manifest{{
		Config:   "config.json",
		RepoTags: []string{tag(i.name)},
		Layers:   []string{"base.tar", "top.tar"},
	}})
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	return replace(archive, func(w io.Writer) error {
		return write(w, file{"manifest.json", 0o644, index}, file{"config.json", 0o644, i.config},
			file{"base.tar", 0o644, i.layers[0]}, file{"top.tar", 0o644, i.layers[1]})
	})
}

// tag is the name by which the manifests of config/ find an image.
func tag(name string) string { return "localhost/wsproxy/" + name + ":dev" }
