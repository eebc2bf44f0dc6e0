// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// persist writes the snapshot with its version to the state directory: whole or
// not at all, also when the node loses power in between.
func persist(dir string, snapshot *dataplanev1alpha1.Snapshot) error {
	raw, err := proto.Marshal(snapshot)
	if err != nil {
		return fmt.Errorf("keep snapshot: %w", err)
	}
	// The name is fixed because one process writes here, one snapshot at a time:
	// what a crash left behind is overwritten.
	path := filepath.Join(dir, dataplanev1alpha1.KeptFile)
	temporary := path + ".tmp"
	if err := writeSynced(temporary, raw); err != nil {
		return fmt.Errorf("keep snapshot: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("keep snapshot: %w", err)
	}
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("keep snapshot: %w", err)
	}
	return nil
}

func writeSynced(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes a rename in the directory last.
func syncDir(path string) (err error) {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}

// restore reads what persist wrote. It returns nil and no error where nothing
// was.
func restore(dir string) (*Config, error) {
	path := filepath.Join(dir, dataplanev1alpha1.KeptFile)
	raw, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("restore snapshot: %w", err)
	}
	snapshot := &dataplanev1alpha1.Snapshot{}
	if err := proto.Unmarshal(raw, snapshot); err != nil {
		return nil, fmt.Errorf("restore snapshot from %s: %w", path, err)
	}
	c, err := Compile(snapshot)
	if err != nil {
		return nil, fmt.Errorf("restore snapshot from %s: %w", path, err)
	}
	return c, nil
}
