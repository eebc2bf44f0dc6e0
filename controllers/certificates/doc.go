// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certificates is the private certificate authority of a wsproxy
// installation: it keeps the authority in a Secret of the operator's own
// namespace, replaces it with overlap before it expires, and issues the short
// certificates by which operator, apiserver and data-plane pods know each other. The
// authority may also be somebody else's to make and replace, in a Secret that is
// followed with the same overlap.
//
// The package knows nothing of proxies beyond the names in their certificates.
package certificates
