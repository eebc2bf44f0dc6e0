// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apply writes desired objects to the API server: server-side apply
// with one field owner, never onto an object that belongs to somebody else, and
// not at all while nothing has changed since the last time.
//
// It must not know what the objects mean.
package apply
