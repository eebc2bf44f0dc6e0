// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package merge makes one stream of changes out of those of many pods, in the order
// of their resourceVersions, and decides which version a stream can be resumed from.
// A Replica is what one process knows of the pods; a Watch is one who follows them.
//
// It is a state machine: it reads no clock but the one that it is given, starts no
// goroutine and sends nothing. So its rules are tested with random histories in which
// everything fails that can. It must not know how pods are found or reached, nor how
// a connection looks in the aggregated API. Who uses it calls it with a lock held.
package merge
