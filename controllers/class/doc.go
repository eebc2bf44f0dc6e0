// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package class writes the status of WebSocketProxyClasses: who inherits from each.
// It is for people, and for the admission policies, which warn of a change only where
// it has an effect; nothing else of the operator reads it.
//
// What the proxies inherit is the business of the package proxy.
package class
