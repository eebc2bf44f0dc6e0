// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClosedWebSocketConnection is a connection that has ended, and how. Each data-plane
// pod remembers those of its last ten minutes, at most the last 10,000 and 4 MiB of
// them; what a pod remembers goes with its process. A connection that was never
// opened is not among them: what its handshake was answered is in the log and in the
// metrics of the pod. There is no watch: a WebSocketConnection can be watched, and
// looked up here when it is gone.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ClosedWebSocketConnection struct {
	metav1.TypeMeta `json:",inline"`
	// metadata has the name, the uid and the labels of the WebSocketConnection.
	// creationTimestamp is when it ended.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what was known of the connection from its handshake on.
	Spec WebSocketConnectionSpec `json:"spec"`
	// status is how the connection ended, and what it was until then.
	Status ClosedWebSocketConnectionStatus `json:"status"`
}

// ClosedWebSocketConnectionList is a list of closed connections, in the order of their
// names.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ClosedWebSocketConnectionList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is that of every list. Where the list is not complete, an annotation
	// says whose connections are missing.
	// +optional
	ConnectionListMeta `json:"metadata,omitempty"`

	// items are the closed connections.
	// +listType=atomic
	Items []ClosedWebSocketConnection `json:"items"`
}

// ClosedWebSocketConnectionStatus is how a connection ended.
type ClosedWebSocketConnectionStatus struct {
	// by is who ended it: Client, Upstream, Proxy, Admin, or Network where a peer was
	// lost.
	By EndedBy `json:"by"`
	// cause is why: ClientClose, UpstreamClose, ClientLost, UpstreamLost,
	// ReconnectRefused, MessageTooBig, RateLimited, MaxAge, Drained, Disconnected or
	// ProtocolError. The log and the metrics of the pod have the same words; a later
	// release may have more.
	Cause EndCause `json:"cause"`
	// code is that of the close frame with which the end began: what the client or the
	// upstream sent, or what both were told by the proxy. 1005: the frame had none.
	// 1006: there was no close frame.
	Code int32 `json:"code"`
	// reason is that of the same close frame, with what cannot be printed replaced; or
	// what happened, in a few words.
	// +optional
	Reason string `json:"reason,omitempty"`
	// closeFrameCutOff says that the client was reset without a close frame, because a
	// frame towards it did not end, or was not taken, in time.
	// +optional
	CloseFrameCutOff bool `json:"closeFrameCutOff,omitempty"`
	// closedAt is when the connection was over on both sides.
	ClosedAt metav1.MicroTime `json:"closedAt"`
	// durationMilliseconds is the time from spec.connectedAt to closedAt.
	DurationMilliseconds int64 `json:"durationMilliseconds"`
	// lastActiveAt is when the last byte came, from either side.
	LastActiveAt metav1.MicroTime `json:"lastActiveAt"`
	// fromClient counts what the client sent.
	FromClient Traffic `json:"fromClient"`
	// fromUpstream counts what the upstream sent.
	FromUpstream Traffic `json:"fromUpstream"`
	// upstream is the address and port that the connection was relayed to last.
	Upstream string `json:"upstream"`
	// reconnects is how often the upstream was replaced under the client.
	Reconnects int32 `json:"reconnects"`
	// possiblyLost is an upper bound of the messages that were handed over to an
	// upstream which was lost before it acknowledged them.
	PossiblyLost int64 `json:"possiblyLost"`
	// undelivered is how many messages of the client were handed over to no upstream.
	Undelivered int64 `json:"undelivered"`
}

// EndedBy says who ended a connection.
type EndedBy string

// Who ends connections.
const (
	EndedByClient   EndedBy = "Client"
	EndedByUpstream EndedBy = "Upstream"
	EndedByProxy    EndedBy = "Proxy"
	// EndedByAdmin: somebody asked for it through this API.
	EndedByAdmin EndedBy = "Admin"
	// EndedByNetwork: a peer was lost.
	EndedByNetwork EndedBy = "Network"
)

// EndCause says why a connection ended.
type EndCause string

// Why connections end.
const (
	// CauseClientClose: the client sent a close frame.
	CauseClientClose EndCause = "ClientClose"
	// CauseUpstreamClose: the upstream sent a close frame.
	CauseUpstreamClose EndCause = "UpstreamClose"
	// CauseClientLost: the client left without a close frame, or fell silent.
	CauseClientLost EndCause = "ClientLost"
	// CauseUpstreamLost: so did the upstream, and it was not to be replaced.
	CauseUpstreamLost EndCause = "UpstreamLost"
	// CauseReconnectRefused: the upstream answered a reconnect with 401, 403, 404 or
	// 410.
	CauseReconnectRefused EndCause = "ReconnectRefused"
	// CauseMessageTooBig: a message was larger than limits.maxMessageBytes.
	CauseMessageTooBig EndCause = "MessageTooBig"
	// CauseRateLimited: the client sent more than limits.messagesPerSecond.
	CauseRateLimited EndCause = "RateLimited"
	// CauseMaxAge: the connection reached limits.maxConnectionAgeSeconds.
	CauseMaxAge EndCause = "MaxAge"
	// CauseDrained: the pod went away.
	CauseDrained EndCause = "Drained"
	// CauseDisconnected: somebody asked for it through this API.
	CauseDisconnected EndCause = "Disconnected"
	// CauseProtocolError: a peer violated RFC 6455.
	CauseProtocolError EndCause = "ProtocolError"
)
