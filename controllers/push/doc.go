// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package push brings configuration into force in running data-plane pods: it
// is told what every pod of a proxy should have, and sees to it with one
// goroutine per pod, so that a slow pod delays nobody. It is level based: what a
// pod has already is never sent to it again, and what it lacks is sent until it
// has it.
//
// The package knows gRPC and the data-plane protocol; it must not know
// Kubernetes clients or where the configuration comes from.
package push
