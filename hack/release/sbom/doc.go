// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command sbom prints the software bill of materials of a Go binary in CycloneDX:
//
//	go run ./hack/release/sbom -version v0.1.0 -commit 0123abc -created 2026-11-22T00:00:00Z bin/operator
//
// It says what the linker wrote into the binary: its modules with their versions
// and the Go that made it. That is all that is in a static binary without cgo, and
// what scanners match with databases of vulnerabilities. The same binary gives the
// same bytes.
package main
