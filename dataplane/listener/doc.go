// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package listener opens the port that clients connect to, with the socket
// options and the TLS that the configuration wants at that moment.
//
// It does not know what clients say.
package listener
