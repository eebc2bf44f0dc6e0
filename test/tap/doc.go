// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tap sits between an informer and the server that it watches: it takes note
// of why the informer lists again, and cuts its watches.
//
// It knows the protocol of Kubernetes and nothing of what is watched.
package tap
