// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The types of a WebSocketProxy's conditions.
const (
	// ConditionAccepted says whether the spec is one that the operator can
	// serve. While it is False the proxy goes on serving what was accepted last.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says whether every Service and Secret that the spec
	// names exists and is usable.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionProgrammed says whether every ready pod has acknowledged the
	// current configuration. It is False while no pod is ready.
	ConditionProgrammed = "Programmed"
	// ConditionReady sums the others up: the proxy serves what its spec says.
	ConditionReady = "Ready"
	// ConditionStalled is True, and present at all, only while the operator
	// cannot go on before somebody changes the spec (kstatus convention).
	ConditionStalled = "Stalled"
)

// The reasons of a WebSocketProxy's conditions.
const (
	ReasonAccepted           = "Accepted"
	ReasonClassNotFound      = "ClassNotFound"
	ReasonMultipleDefaults   = "MultipleDefaultClasses"
	ReasonOverrideNotAllowed = "OverrideNotAllowed"
	ReasonInvalidSpec        = "InvalidSpec"

	ReasonResolved           = "Resolved"
	ReasonServiceNotFound    = "ServiceNotFound"
	ReasonServicePortUnknown = "ServicePortNotFound"
	ReasonSecretNotFound     = "SecretNotFound"
	ReasonSecretInvalid      = "SecretInvalid"

	ReasonProgrammed   = "Programmed"
	ReasonNoReadyPods  = "NoReadyPods"
	ReasonPodsLagging  = "PodsLagging"
	ReasonNotAttempted = "NotAttempted"
	ReasonApplyFailed  = "ApplyFailed"

	// ReasonPending is what the default of the status in the schema says.
	ReasonPending      = "Pending"
	ReasonReady        = "Ready"
	ReasonProgressing  = "Progressing"
	ReasonScaledToZero = "ScaledToZero"
	// ReasonRolloutStopped: the pods are not replaced, because those of other
	// proxies that were given the same image and podTemplate do not become ready.
	ReasonRolloutStopped = "RolloutStopped"
	ReasonNotAccepted    = "NotAccepted"
	ReasonRefsPending    = "ReferencesNotResolved"
)

// EventReplacingPods is the reason of the event that says why the pods of a proxy
// are replaced. The reasons of all other events are those of conditions.
const EventReplacingPods = "ReplacingPods"

// WebSocketProxyStatus is the observed state of a WebSocketProxy.
type WebSocketProxyStatus struct {
	// observedGeneration is the generation of the spec that this status speaks
	// of; 0 while the operator has not seen the proxy.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Accepted, ResolvedRefs, Programmed and Ready, and Stalled
	// while the spec must be changed before the operator can go on.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// className is the class that the proxy inherits from; empty where it
	// inherits from none.
	// +optional
	ClassName string `json:"className,omitempty"`

	// address is where clients inside the cluster reach the proxy, as a URL.
	// +optional
	Address string `json:"address,omitempty"`

	// effectiveSettings are the settings in force, each with its source.
	// +optional
	EffectiveSettings *EffectiveSettings `json:"effectiveSettings,omitempty"`

	// effectiveLimits are the limits in force, each with its source; absent where
	// nothing is limited.
	// +optional
	EffectiveLimits *EffectiveLimits `json:"effectiveLimits,omitempty"`

	// effectiveDrain is the drain window in force, with its source.
	// +optional
	EffectiveDrain *EffectiveDrain `json:"effectiveDrain,omitempty"`

	// replicas is the number of data-plane pods that are not going away.
	// +optional
	Replicas int32 `json:"replicas"`

	// readyReplicas is the number of those that are ready. While it is 0,
	// Programmed is False.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`

	// selector selects the data-plane pods, for the scale subresource.
	// +optional
	Selector string `json:"selector,omitempty"`

	// connections is the number of live connections over all pods, refreshed at
	// most every 30 seconds.
	// +optional
	Connections int64 `json:"connections"`

	// dataplane says how far the current configuration has reached the pods.
	// +optional
	Dataplane DataplaneStatus `json:"dataplane,omitempty,omitzero"`
}

// SettingSource says where a value in force comes from: Proxy, Class/<name> or
// BuiltIn.
type SettingSource string

// The sources of settings. A class is named: ClassSource("default") is
// "Class/default".
const (
	SourceProxy   SettingSource = "Proxy"
	SourceBuiltIn SettingSource = "BuiltIn"
)

// ClassSource is the source of a value that is inherited from the named class.
func ClassSource(class string) SettingSource { return SettingSource("Class/" + class) }

// EffectiveSettings are the eight settings in force.
type EffectiveSettings struct {
	// connectionLostTimeout in force.
	ConnectionLostTimeout EffectiveInteger `json:"connectionLostTimeout"`
	// reuseAddr in force.
	ReuseAddr EffectiveBoolean `json:"reuseAddr"`
	// connectTimeout in force.
	ConnectTimeout EffectiveInteger `json:"connectTimeout"`
	// maxRetries in force.
	MaxRetries EffectiveInteger `json:"maxRetries"`
	// retryDelay in force.
	RetryDelay EffectiveInteger `json:"retryDelay"`
	// autoReconnect in force.
	AutoReconnect EffectiveBoolean `json:"autoReconnect"`
	// autoReconnectMaxRetries in force.
	AutoReconnectMaxRetries EffectiveInteger `json:"autoReconnectMaxRetries"`
	// autoReconnectRetryDelay in force.
	AutoReconnectRetryDelay EffectiveInteger `json:"autoReconnectRetryDelay"`
}

// EffectiveInteger is a setting in force that is a number.
type EffectiveInteger struct {
	// value in force.
	Value int32 `json:"value"`
	// unit of the value: seconds, milliseconds or attempts.
	Unit string `json:"unit"`
	// source of the value: Proxy, Class/<name> or BuiltIn.
	Source SettingSource `json:"source"`
}

// EffectiveBoolean is a setting in force that is on or off.
type EffectiveBoolean struct {
	// value in force.
	Value bool `json:"value"`
	// unit of the value: boolean.
	Unit string `json:"unit"`
	// source of the value: Proxy, Class/<name> or BuiltIn.
	Source SettingSource `json:"source"`
}

// DataplaneStatus says how far the current configuration has reached the pods.
type DataplaneStatus struct {
	// pods is the number of data-plane pods that run and are not going away.
	Pods int32 `json:"pods"`
	// programmed is the number of those that acknowledged configVersion.
	Programmed int32 `json:"programmed"`
	// draining is the number of data-plane pods that are going away: they take no
	// new clients, and their connections end within the drain window.
	// +optional
	Draining int32 `json:"draining"`
	// configVersion is the version of the current configuration: the
	// resourceVersion of the proxy's ConfigMap. After a restore of the cluster from
	// a backup the annotation wsproxy.io/version-offset of the ConfigMap is added
	// to it, because pods refuse versions that are lower than what they have.
	// +optional
	ConfigVersion string `json:"configVersion,omitempty"`
}
