// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// EffectiveLimits are the limits in force. One that is absent is no limit.
type EffectiveLimits struct {
	// maxConnections in force.
	// +optional
	MaxConnections *EffectiveLimit `json:"maxConnections,omitempty"`
	// maxConnectionsPerClient in force.
	// +optional
	MaxConnectionsPerClient *EffectiveLimit `json:"maxConnectionsPerClient,omitempty"`
	// maxMessageBytes in force.
	// +optional
	MaxMessageBytes *EffectiveLimit `json:"maxMessageBytes,omitempty"`
	// messagesPerSecond in force.
	// +optional
	MessagesPerSecond *EffectiveLimit `json:"messagesPerSecond,omitempty"`
	// maxConnectionAgeSeconds in force.
	// +optional
	MaxConnectionAgeSeconds *EffectiveLimit `json:"maxConnectionAgeSeconds,omitempty"`
}

// EffectiveLimit is a limit in force.
type EffectiveLimit struct {
	// value in force.
	Value int64 `json:"value"`
	// unit of the value: connections, bytes, messages per second or seconds.
	Unit string `json:"unit"`
	// source of the value: Proxy or Class/<name>.
	Source SettingSource `json:"source"`
}

// EffectiveDrain is how the connections of a pod that goes away are ended.
type EffectiveDrain struct {
	// timeoutSeconds in force.
	TimeoutSeconds EffectiveInteger `json:"timeoutSeconds"`
}
