// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
)

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
