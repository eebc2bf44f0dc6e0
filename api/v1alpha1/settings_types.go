// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Settings are the eight timeout, retry and reconnect settings of a proxy.
// Each is optional: what the proxy leaves out comes from its
// WebSocketProxyClass, and what the class leaves out is built in. The values in
// force, each with its source, are in status.effectiveSettings.
//
// Names and units are those of the settings call that this API replaces, so its
// JSON body can be pasted here unchanged.
type Settings struct {
	// connectionLostTimeout is the time in seconds after which a leg (client or
	// upstream) that sent no byte is considered lost; a ping is sent after half
	// of it, or up to a tenth of it earlier, so that not all are pinged at once.
	// 0 switches the detection off. Range 0 to 86400, built in 60. A change takes
	// effect at once, on live connections.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 86400",messageExpression="'connectionLostTimeout is %d, must be 0 to 86400 seconds'.format([self])"
	// +optional
	ConnectionLostTimeout *int32 `json:"connectionLostTimeout,omitempty"`

	// reuseAddr sets the socket option SO_REUSEADDR on the listener and on the
	// sockets to the upstream. Built in true.
	// A change takes effect on the next socket that is opened.
	// +optional
	ReuseAddr *bool `json:"reuseAddr,omitempty"`

	// connectTimeout bounds one attempt to reach the upstream, in seconds: DNS,
	// TCP, TLS and the upstream's answer to the handshake.
	// Range 1 to 3600, built in 30. A change takes effect on the next attempt.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 3600",messageExpression="'connectTimeout is %d, must be 1 to 3600 seconds'.format([self])"
	// +optional
	ConnectTimeout *int32 `json:"connectTimeout,omitempty"`

	// maxRetries is the number of further attempts to reach the upstream before
	// the client's handshake is answered with an error; 0 means a single
	// attempt. Range 0 to 100, built in 3. A change takes effect on the next
	// attempt.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 100",messageExpression="'maxRetries is %d, must be 0 to 100 attempts'.format([self])"
	// +optional
	MaxRetries *int32 `json:"maxRetries,omitempty"`

	// retryDelay is the pause between two attempts to reach the upstream before
	// the client's handshake is answered, in milliseconds. The pause is never
	// shorter; up to 20 % of jitter come on top.
	// Range 0 to 600000, built in 1000. A change takes effect on the next
	// attempt.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 600000",messageExpression="'retryDelay is %d, must be 0 to 600000 milliseconds'.format([self])"
	// +optional
	RetryDelay *int32 `json:"retryDelay,omitempty"`

	// autoReconnect says whether an open connection outlives the loss of its
	// upstream: the client is held while the proxy reconnects. Built in false,
	// because a protocol with a login at its start must opt in (see
	// spec.reconnect.replayMessages). A change takes effect at once.
	// +optional
	AutoReconnect *bool `json:"autoReconnect,omitempty"`

	// autoReconnectMaxRetries is the number of attempts to get a lost upstream
	// back; when they are spent, the client is closed with code 1013.
	// Range 0 to 1000, built in 5. A change takes effect at once.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 1000",messageExpression="'autoReconnectMaxRetries is %d, must be 0 to 1000 attempts'.format([self])"
	// +optional
	AutoReconnectMaxRetries *int32 `json:"autoReconnectMaxRetries,omitempty"`

	// autoReconnectRetryDelay is the pause between two attempts to get a lost
	// upstream back, in milliseconds. The pause is never shorter; up to 20 % of
	// jitter come on top. Range 0 to 600000, built in 2000. A change takes effect at once.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 600000",messageExpression="'autoReconnectRetryDelay is %d, must be 0 to 600000 milliseconds'.format([self])"
	// +optional
	AutoReconnectRetryDelay *int32 `json:"autoReconnectRetryDelay,omitempty"`
}

// Reconnect shapes what happens while autoReconnect holds a client.
//
// +kubebuilder:validation:XValidation:rule="!has(self.replayMessages) || self.replayMessages == 0 || !has(self.bufferBytes) || self.bufferBytes > 0",fieldPath=".replayMessages",messageExpression="'replayMessages is %d, must be 0 where bufferBytes is 0: what is replayed is kept in that buffer'.format([self.replayMessages])"
type Reconnect struct {
	// bufferBytes bounds what is kept of one client's messages while its
	// upstream is away, in bytes; past it the proxy stops reading and TCP holds
	// the client back. Range 0 to 16777216 (16 MiB), built in 65536.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 16777216",messageExpression="'bufferBytes is %d, must be 0 to 16777216 bytes'.format([self])"
	// +optional
	BufferBytes *int32 `json:"bufferBytes,omitempty"`

	// replayMessages is the number of messages from the start of a connection
	// that are said again to every new upstream: a login, a subscription. They
	// must fit in bufferBytes, or the connection cannot be reconnected.
	// Range 0 to 100, built in 0.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 100",messageExpression="'replayMessages is %d, must be 0 to 100 messages'.format([self])"
	// +optional
	ReplayMessages *int32 `json:"replayMessages,omitempty"`
}

// Limits bound what clients may do. An absent limit, inherited from nobody, is
// no limit.
type Limits struct {
	// maxConnections is the number of connections that one pod accepts; a
	// client over it is answered 503 with Retry-After. Range 1 to 1000000.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 1000000",messageExpression="'maxConnections is %d, must be 1 to 1000000 connections'.format([self])"
	// +optional
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// maxConnectionsPerClient is the number of connections that one pod accepts
	// from one client address; a client over it is answered 429 with
	// Retry-After. Range 1 to 1000000.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 1000000",messageExpression="'maxConnectionsPerClient is %d, must be 1 to 1000000 connections'.format([self])"
	// +optional
	MaxConnectionsPerClient *int32 `json:"maxConnectionsPerClient,omitempty"`

	// maxMessageBytes is the largest message either side may send, in payload
	// bytes as they are on the wire (compressed, where compression was
	// negotiated); a larger one ends the connection with code 1009. Range 1 to 1099511627776 (1 TiB).
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 1099511627776",messageExpression="'maxMessageBytes is %d, must be 1 to 1099511627776 bytes'.format([self])"
	// +optional
	MaxMessageBytes *int64 `json:"maxMessageBytes,omitempty"`

	// messagesPerSecond is the rate of messages that one client may send, with
	// a burst of one second's worth; a client over it is closed with code 1008.
	// Range 1 to 1000000.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 1000000",messageExpression="'messagesPerSecond is %d, must be 1 to 1000000 messages per second'.format([self])"
	// +optional
	MessagesPerSecond *int32 `json:"messagesPerSecond,omitempty"`

	// maxConnectionAgeSeconds is the age in seconds at which a connection is
	// closed with code 1001. Range 1 to 31536000 (a year).
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 31536000",messageExpression="'maxConnectionAgeSeconds is %d, must be 1 to 31536000 seconds'.format([self])"
	// +optional
	MaxConnectionAgeSeconds *int32 `json:"maxConnectionAgeSeconds,omitempty"`
}

// Drain shapes how the connections of a pod that is going away are ended.
type Drain struct {
	// timeoutSeconds is the window, in seconds, over which a pod that goes away
	// closes its connections, idle ones first, with code 1012.
	// Range 0 to 3600, built in 30.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 3600",messageExpression="'timeoutSeconds is %d, must be 0 to 3600 seconds'.format([self])"
	// +optional
	TimeoutSeconds *int32 `json:"timeoutSeconds,omitempty"`
}
