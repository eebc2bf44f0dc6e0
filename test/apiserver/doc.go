// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver tests the aggregated API server from outside, over HTTP: in
// process, with a list of pods that the test makes up, and as the real program
// behind a real kube-apiserver, with kubectl. The data-plane pods are real
// control servers with made-up connections, on loopback.
package apiserver
