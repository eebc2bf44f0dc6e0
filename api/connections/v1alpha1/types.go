// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WebSocketConnection is one live connection of a WebSocketProxy. It exists as
// long as the connection does: deleting it ends the connection.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WebSocketConnection struct {
	metav1.TypeMeta `json:",inline"`
	// metadata.name is "<pod id>-<sequence>", unique for ever; the backend finds it
	// in the header X-WebSocket-Connection-Id. The labels wsproxy.io/proxy and
	// wsproxy.io/pod carry the proxy and the pod.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is known of the connection from its handshake on.
	Spec WebSocketConnectionSpec `json:"spec"`
	// status is how the connection is at this moment.
	Status WebSocketConnectionStatus `json:"status"`
}

// WebSocketConnectionList is a list of live connections, in the order of their
// names.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WebSocketConnectionList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is that of every list. Where the list is not complete, an annotation
	// says whose connections are missing.
	// +optional
	ConnectionListMeta `json:"metadata,omitempty"`

	// items are the connections.
	// +listType=atomic
	Items []WebSocketConnection `json:"items"`
}

// ConnectionListMeta is the metadata of a list of connections.
type ConnectionListMeta struct {
	metav1.ListMeta `json:",inline"`
	// annotations: connections.wsproxy.io/unanswered-pods names the pods that did
	// not answer in time, as "namespace/name", separated by commas. Their
	// connections are not in the list.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// WebSocketConnectionSpec is what is known of a connection from its handshake on.
type WebSocketConnectionSpec struct {
	// proxy is the name of the WebSocketProxy, in the same namespace.
	Proxy string `json:"proxy"`
	// pod is the name of the data-plane pod that holds the connection.
	Pod string `json:"pod"`
	// client is what the client said of itself.
	Client Client `json:"client"`
	// path is the path of the request as it was sent, percent-encoded, without the
	// query, which may carry secrets; at most its first 1024 bytes.
	Path string `json:"path"`
	// subprotocol is what client and upstream agreed on; empty where there is none.
	// +optional
	Subprotocol string `json:"subprotocol,omitempty"`
	// connectedAt is when the client's handshake came.
	ConnectedAt metav1.MicroTime `json:"connectedAt"`
}

// Client is what the client said of itself.
type Client struct {
	// sourceIP is the client's address; behind the proxies in
	// spec.listen.trustedProxies the one that they report.
	SourceIP string `json:"sourceIP"`
	// userAgent is the User-Agent header; at most its first 256 bytes, with what
	// cannot be printed replaced.
	// +optional
	UserAgent string `json:"userAgent,omitempty"`
	// origin is the Origin header, which browsers send; like userAgent.
	// +optional
	Origin string `json:"origin,omitempty"`
}

// ConnectionPhase says where a connection stands.
type ConnectionPhase string

// The phases of a connection.
const (
	// ConnectionConnecting: the client waits while the upstream is connected to.
	ConnectionConnecting ConnectionPhase = "Connecting"
	// ConnectionOpen: client and upstream are connected.
	ConnectionOpen ConnectionPhase = "Open"
	// ConnectionReconnecting: the upstream is lost, the client is held.
	ConnectionReconnecting ConnectionPhase = "Reconnecting"
	// ConnectionClosing: the close handshake is under way.
	ConnectionClosing ConnectionPhase = "Closing"
	// ConnectionUnknown: its pod is of a newer release than the API server, and says
	// what that has no word for.
	ConnectionUnknown ConnectionPhase = "Unknown"
)

// WebSocketConnectionStatus is how a connection is at this moment.
type WebSocketConnectionStatus struct {
	// phase is Connecting, Open, Reconnecting or Closing; Unknown where only the pod, of
	// a newer release, knows what it is.
	Phase ConnectionPhase `json:"phase"`
	// lastActiveAt is when a byte came last, from either side.
	LastActiveAt metav1.MicroTime `json:"lastActiveAt"`
	// fromClient counts what the client sent.
	FromClient Traffic `json:"fromClient"`
	// fromUpstream counts what the upstream sent.
	FromUpstream Traffic `json:"fromUpstream"`
	// upstream is the address and port that the connection is relayed to; empty
	// while there is none.
	// +optional
	Upstream string `json:"upstream,omitempty"`
	// reconnects is how often the upstream was replaced under the client.
	Reconnects int32 `json:"reconnects"`
	// reconnectable says whether the connection could outlive its upstream, if
	// autoReconnect is on.
	Reconnectable bool `json:"reconnectable"`
	// notReconnectableReason says why it could not, in one word.
	// +optional
	NotReconnectableReason string `json:"notReconnectableReason,omitempty"`
	// possiblyLost is an upper bound of the messages that were handed over to an
	// upstream which was lost before it acknowledged them.
	PossiblyLost int64 `json:"possiblyLost"`
}

// Traffic counts what came from one side.
type Traffic struct {
	// messages is the number of whole messages.
	Messages int64 `json:"messages"`
	// bytes is the number of bytes on the wire, frame headers included.
	Bytes int64 `json:"bytes"`
}

// WebSocketDisconnect asks for the end of a connection: it is what is POSTed to
// the subresource disconnect of a WebSocketConnection. Every field is optional.
// The answer is the connection as it closes.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WebSocketDisconnect struct {
	metav1.TypeMeta `json:",inline"`
	// metadata.name, metadata.uid and metadata.resourceVersion, where they are
	// given, must be the connection's.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// code is the close code that client and upstream are sent: 1000 to 1003, 1007
	// to 1014, or 3000 to 4999 (RFC 6455 section 7.4). Absent: 1000.
	// +optional
	Code *int32 `json:"code,omitempty"`
	// reason goes with the code: at most 123 bytes of UTF-8. Absent: "disconnected
	// by an administrator".
	// +optional
	Reason *string `json:"reason,omitempty"`
	// gracePeriodSeconds is how long client and upstream have to answer the close
	// frame before they are reset. Range 0 to 3600; absent: 5.
	// +optional
	GracePeriodSeconds *int64 `json:"gracePeriodSeconds,omitempty"`
}

// WebSocketSend is a message for the client of a connection: it is what is POSTed to
// the subresource send of a WebSocketConnection. The client gets it whole, between
// two messages of its upstream and in the order of sending. The answer is a Status
// without details, as soon as the kernel of the pod has taken all of it; that the
// client has read it nobody can say.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WebSocketSend struct {
	metav1.TypeMeta `json:",inline"`
	// metadata.name, metadata.uid and metadata.resourceVersion, where they are
	// given, must be the connection's.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// type is Text or Binary. Absent: Text with text, Binary with data.
	// +optional
	Type MessageType `json:"type,omitempty"`
	// text is the payload of a Text as it is. Exactly one of text and data is there.
	// +optional
	Text *string `json:"text,omitempty"`
	// data is the payload of a Binary, or of a Text, in base64. Without that it has at
	// most 131072 bytes, or limits.maxMessageBytes of the proxy if that is less. A Text
	// is UTF-8.
	// +optional
	Data []byte `json:"data,omitempty"`
}

// MessageType is the type of a message (RFC 6455 section 5.6).
type MessageType string

// The types of messages.
const (
	MessageText   MessageType = "Text"
	MessageBinary MessageType = "Binary"
)
