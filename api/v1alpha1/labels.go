// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Labels of what belongs to a proxy: its objects and its connections.
const (
	// LabelProxy is the name of the WebSocketProxy.
	LabelProxy = "wsproxy.io/proxy"
	// LabelPod is the name of the data-plane pod; on connections only.
	LabelPod = "wsproxy.io/pod"
)
