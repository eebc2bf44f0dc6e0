// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"path/filepath"

	"github.com/go-logr/logr"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Dir is what the mounted Secret of a data-plane pod holds for those who connect
// to it. What is not used need not be there.
type Dir struct {
	// Control is shown to the callers of the control port, ControlCA verifies
	// them.
	Control   *Pair
	ControlCA *Bundle
	// Listen is shown to clients.
	Listen *Pair
}

// NewDir returns what is in the directory.
func NewDir(dir string, logger logr.Logger) *Dir {
	pair := func(cert, key string) *Pair {
		return NewPair(filepath.Join(dir, cert), filepath.Join(dir, key), logger)
	}
	return &Dir{
		Control:   pair(dataplanev1alpha1.FileControlCert, dataplanev1alpha1.FileControlKey),
		ControlCA: NewBundle(filepath.Join(dir, dataplanev1alpha1.FileControlCA), logger),
		Listen:    pair(dataplanev1alpha1.FileListenCert, dataplanev1alpha1.FileListenKey),
	}
}
