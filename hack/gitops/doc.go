// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops pins the types of Flux, in a module of its own. Their CRDs are made of
// them (see crds beside this file), against which our samples are held.
package gitops

import (
	_ "github.com/fluxcd/helm-controller/api/v2"
	_ "github.com/fluxcd/kustomize-controller/api/v1"
	_ "github.com/fluxcd/source-controller/api/v1"
)
