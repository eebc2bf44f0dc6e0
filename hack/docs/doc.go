// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command docs writes docs/settings.md from the CRDs, whose descriptions, ranges and
// rules come from api/v1alpha1. `make generate` runs it in the root of the repository.
//
// Its tests hold the pages of docs/ to the code: links lead somewhere, every word that
// conditions, handshakes, ends of connections and alerts use is explained in
// docs/troubleshooting.md, and every block of code is one that the end-to-end tests
// run, or says why not.
package main
