// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package native holds the three programs of the benchmark that are written in C,
// builds them with the C compiler of the machine, and speaks to them: the clients
// (load), the server behind every proxy (backend), and the least that a relay can
// do (relay).
//
// They are in C because what they cost is taken from the two cores that the proxy
// runs on: a Go program of the same kind takes about twice the CPU, and its
// garbage collector and scheduler would be in every latency. It knows nothing of
// the proxies between them.
package native
