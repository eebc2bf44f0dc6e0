// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package endpoints turns a Service and its EndpointSlices into the addresses
// that the data plane connects to. It is pure: it knows no client.
package endpoints
