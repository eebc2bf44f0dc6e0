// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"io"
	"os"

	"github.com/go-logr/logr"
	"sigs.k8s.io/yaml"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// maxFileBytes is more than a ConfigMap can hold (1 MiB); reading stops there so
// that a wrong path to something endless ends with an error.
const maxFileBytes = 4 << 20

// File is what a configuration file says.
type File struct {
	// Config is compiled from the file.
	Config *Config
	// Manifest is the WebSocketProxy in the file; nil where the file is a
	// snapshot.
	Manifest *wsproxyv1alpha1.WebSocketProxy
	// Ignored names what the file says and what has no effect without Kubernetes,
	// or at all.
	Ignored []string

	raw []byte
}

// ReadFile reads a configuration file; see Parse.
func ReadFile(path string) (*File, error) {
	raw, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	f, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("read configuration from %s: %w", path, err)
	}
	f.raw = raw
	return f, nil
}

// Parse reads a configuration, which it tells by its content: the manifest of a
// WebSocketProxy in YAML or JSON, perhaps with the classes that it may inherit
// from as further documents, or a snapshot in protobuf JSON. The error names the
// field at fault with its value and with what it must be.
func Parse(raw []byte) (*File, error) {
	documents, err := split(raw)
	if err != nil {
		return nil, err
	}
	if len(documents) == 1 && !isObject(documents[0]) {
		return parseSnapshot(documents[0])
	}
	return parseManifest(documents)
}

func parseSnapshot(document []byte) (*File, error) {
	raw, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	snapshot, err := dataplanev1alpha1.UnmarshalSnapshot(raw)
	if err != nil {
		return nil, err
	}
	c, err := Compile(snapshot)
	if err != nil {
		return nil, err
	}
	return &File{Config: c}, nil
}

// Start returns what to begin with: the snapshot that was accepted last, where
// the state directory (empty: there is none) holds one for the proxy of the
// file; else the file. A kept snapshot that is unusable is logged and passed
// over; so is an unusable file where a kept snapshot takes its place, because
// the state directory belongs to this pod and its proxy alone.
func Start(path, stateDir string, logger logr.Logger) (*File, error) {
	file, fileErr := ReadFile(path)
	var kept *Config
	if stateDir != "" {
		var err error
		if kept, err = restore(stateDir); err != nil {
			logger.Error(err, "The kept snapshot is unusable, starting from the file", "file", path)
		}
	}
	switch {
	case kept == nil:
		return file, fileErr
	case fileErr != nil:
		logger.Error(fileErr, "The configuration file is unusable, starting from the kept snapshot", "version", kept.Snapshot.GetVersion())
		return &File{Config: kept}, nil
	case proxyName(kept.Snapshot) != proxyName(file.Config.Snapshot):
		logger.Info("The kept snapshot is of another proxy, starting from the file", "file", path,
			"kept", proxyName(kept.Snapshot), "proxy", proxyName(file.Config.Snapshot))
		return file, nil
	default:
		return &File{Config: kept, Manifest: file.Manifest, Ignored: file.Ignored, raw: file.raw}, nil
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // It was only read from.
	raw, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxFileBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFileBytes)
	}
	return raw, nil
}
