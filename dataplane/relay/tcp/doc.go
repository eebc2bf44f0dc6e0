// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tcp is what the kernel knows of a TCP connection and what it can be told
// to do with it, beyond reading and writing. It knows nothing of frames, of
// connections with two legs, or of who reads and writes.
package tcp
