// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiservice gives the aggregated API server what it needs of the
// certificate authority: its certificates, in a Secret, the trust of kube-apiserver, in
// the caBundle of the APIService, and that of backends that call it directly, in a
// ConfigMap beside each proxy. Each is kept by a controller of its own. Another one
// removes the APIService together with the namespace of the server.
//
// The APIService and the API server itself come with the installation; the
// package knows nothing of what is served.
package apiservice
