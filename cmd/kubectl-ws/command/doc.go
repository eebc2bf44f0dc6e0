// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package command is kubectl ws: its commands with their flags, and what they print. It
// does as kubectl does: the same flags, output formats, error texts and exit codes. How
// the server is asked is client's business.
package command
