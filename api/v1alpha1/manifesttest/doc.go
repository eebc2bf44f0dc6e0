// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifesttest reads the tables of manifests that every judge of a
// manifest is fed: the validator of api/v1alpha1 and the API server. It knows how
// a table is written, and nothing of the types in it.
//
// A table is a folder of YAML files with one manifest each. The first lines of a
// manifest that must be refused are comments:
//
//	# field: spec.settings.retryDelay
//	# says: must be 0 to 600000 milliseconds
//
// field is the field that the error must name; says, any number of times, is
// text that the error must contain.
package manifesttest
