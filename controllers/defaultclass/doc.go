// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package defaultclass keeps the WebSocketProxyClass that an installation comes
// with: the system settings that the Helm chart takes from its values.
//
// Why the operator writes it and not Helm: a release cannot bring a CRD and an
// object of it in one go (Helm looks up every kind before it creates anything), as
// a hook the class would be deleted and made again by every upgrade, which rolls
// the pods of every proxy where the class has a podTemplate, and Helm 3 changes a
// custom resource by what differs between two releases, so that a first upgrade
// onto an adopted class changes nothing.
//
// The package knows nothing of proxies.
package defaultclass
