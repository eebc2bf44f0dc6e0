// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// The resources and subresources, as they are in URLs and in RBAC rules.
const (
	ResourceClosed        = "closedwebsocketconnections"
	ResourceConnections   = "websocketconnections"
	SubresourceStatus     = "status"
	SubresourceDisconnect = "disconnect"
	SubresourceSend       = "send"
)

// AnnotationUnansweredPods on the metadata of a list names the pods that did not
// answer in time ("namespace/name", separated by commas): their connections are
// missing from the list.
const AnnotationUnansweredPods = "connections.wsproxy.io/unanswered-pods"

// What a disconnect has where it does not say otherwise, and what it may have.
const (
	DefaultCloseCode          = 1000
	DefaultReason             = "disconnected by an administrator"
	DefaultGracePeriodSeconds = 5
	// MaxReasonBytes is what a control frame of 125 bytes has room for after the
	// code (RFC 6455 section 5.5).
	MaxReasonBytes = 123
	// MaxGracePeriodSeconds is the longest wait for the close handshake.
	MaxGracePeriodSeconds = 3600
)

// MaxMessageBytes is the largest payload of a message that can be sent to a client,
// as the client gets it. limits.maxMessageBytes of the proxy may be less.
const MaxMessageBytes = 128 << 10

// MaySend says whether an endpoint may send the close code: those of RFC 6455
// section 7.4 that are not reserved for reporting (1004, 1005, 1006, 1015), with
// the ones that were registered since (1012 to 1014).
func MaySend(code int32) bool {
	return 1000 <= code && code <= 1003 || 1007 <= code && code <= 1014 || 3000 <= code && code <= 4999
}
