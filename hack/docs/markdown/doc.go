// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package markdown reads what is to be run or checked in a page of documentation:
// its blocks of code, its tables and its links. It is no Markdown parser: it knows the
// few forms that the pages of this repository have.
//
// What happens to a block is decided by the first word behind its fence and by HTML
// comments in the lines before it:
//
//	sh       is run by bash
//	yaml     is shown to the API server, where it has an apiVersion
//	go       stands in a file: <!-- from: docs/examples/announce/main.go -->
//	console  is a recording; text, json and others are what they are
//
//	<!-- not run: why -->   nothing is done with the next block
//	<!-- dry run: why -->   kubectl and helm change nothing in it
//	<!-- prints: regexp --> what it prints has a line like that; may be there twice
//
// The package knows nothing of clusters.
package markdown
