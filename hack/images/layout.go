// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Media types of the OCI Image Format Specification v1.1.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Platform    *platform         `json:"platform,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	ociManifest struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		Config        descriptor        `json:"config"`
		Layers        []descriptor      `json:"layers"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}
	ociIndex struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		Manifests     []descriptor      `json:"manifests"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}
)

// blobs are the contents of a layout by their paths. What two platforms share is
// there once.
type blobs map[string][]byte

func (b blobs) add(mediaType string, content []byte) descriptor {
	d := descriptor{MediaType: mediaType, Digest: digest(content), Size: len(content)}
	b["blobs/"+strings.Replace(d.Digest, ":", "/", 1)] = content
	return d
}

func (b blobs) addJSON(mediaType string, content any) (descriptor, error) {
	raw, err := json.Marshal(content)
	if err != nil {
		return descriptor{}, fmt.Errorf("encode %s: %w", mediaType, err)
	}
	return b.add(mediaType, raw), nil
}

// writeLayout writes one OCI image layout, as a tar, with an image of the same name
// for several platforms under a reference such as ghcr.io/wsproxy/operator:v0.1.0.
// The layout's own index names a single other one, the image's: that is what
// buildx writes, and what skopeo, crane, oras and containerd read as one image of
// several platforms.
func writeLayout(archive, reference string, images []image, annotations map[string]string) error {
	content := blobs{}
	all := ociIndex{SchemaVersion: 2, MediaType: typeIndex, Annotations: annotations}
	for _, i := range images {
		d, err := content.addImage(i, annotations)
		if err != nil {
			return err
		}
		all.Manifests = append(all.Manifests, d)
	}
	entry, err := content.addJSON(typeIndex, all)
	if err != nil {
		return err
	}
	_, version, _ := strings.Cut(reference[strings.LastIndex(reference, "/")+1:], ":")
	entry.Annotations = map[string]string{
		"io.containerd.image.name":          reference,
		"org.opencontainers.image.ref.name": version,
	}
	top, err := json.Marshal(ociIndex{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{entry}})
	if err != nil {
		return fmt.Errorf("encode index: %w", err)
	}
	files := []file{{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", 0o644, top}}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		files = append(files, file{name, 0o644, content[name]})
	}
	return replace(archive, func(w io.Writer) error { return write(w, files...) })
}

func (b blobs) addImage(i image, annotations map[string]string) (descriptor, error) {
	m := ociManifest{SchemaVersion: 2, MediaType: typeManifest, Config: b.add(typeConfig, i.config), Annotations: annotations}
	for _, l := range i.layers {
		compressed, err := compress(l)
		if err != nil {
			return descriptor{}, err
		}
		m.Layers = append(m.Layers, b.add(typeLayer, compressed))
	}
	d, err := b.addJSON(typeManifest, m)
	d.Platform = &platform{Architecture: i.arch, OS: "linux"}
	return d, err
}

// compress gives the same bytes for the same layer with the same Go.
func compress(raw []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	if _, err := w.Write(raw); err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress layer: %w", err)
	}
	return b.Bytes(), nil
}
