// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package probe answers those who ask over plain HTTP how the process is: the
// kubelet and Prometheus.
//
// It does not know what makes the process ready; that is asked for at each
// probe.
package probe
