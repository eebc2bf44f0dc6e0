// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certs reads certificates and keys from files and reads them again when
// they change, so that a renewed certificate is used without a restart. What
// does not parse is reported, and what was read before stays in use.
//
// It does not know what the certificates are for.
package certs
