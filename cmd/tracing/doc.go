// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tracing makes what operator, aggregated API server and data plane export
// spans with: one exporter, one way to sample, and the handlers for the gRPC between
// them.
//
// It knows nothing of what is traced. The rooms get a trace.TracerProvider, or nil
// where tracing is off, which is the default; then they do nothing for it.
package tracing
