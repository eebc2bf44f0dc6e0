// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package control serves the protocol between the control plane and one
// data-plane pod: it checks who calls and what is asked, and passes on to the
// configuration store and to the registry.
//
// It does not know how a connection is relayed or drained.
package control
