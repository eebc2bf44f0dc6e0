// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

// By says who ended a connection.
type By string

// Who ended it.
const (
	// ByClient: the client, by a close frame or a violation of RFC 6455.
	ByClient By = "Client"
	// ByUpstream: the upstream, in the same ways, or because it refused a reconnect.
	ByUpstream By = "Upstream"
	// ByProxy: the proxy itself, because of a limit or a drain.
	ByProxy By = "Proxy"
	// ByAdmin: somebody who asked for it through the API.
	ByAdmin By = "Admin"
	// ByNetwork: nobody; a leg was lost.
	ByNetwork By = "Network"
)

// Cause says why a connection ended. It is one vocabulary for the API, the access
// log and the metrics.
type Cause string

// Why it ended.
const (
	// CauseClientClose: the client sent a close frame.
	CauseClientClose Cause = "ClientClose"
	// CauseUpstreamClose: the upstream sent a close frame.
	CauseUpstreamClose Cause = "UpstreamClose"
	// CauseClientLost: the client's leg ended without a close frame, or fell silent.
	CauseClientLost Cause = "ClientLost"
	// CauseUpstreamLost: so did the upstream's, and it was not to be healed.
	CauseUpstreamLost Cause = "UpstreamLost"
	// CauseReconnectRefused: the upstream answered a reconnect with 401, 403, 404
	// or 410.
	CauseReconnectRefused Cause = "ReconnectRefused"
	// CauseMessageTooBig: a message was larger than limits.maxMessageBytes.
	CauseMessageTooBig Cause = "MessageTooBig"
	// CauseRateLimited: the client sent more than limits.messagesPerSecond.
	CauseRateLimited Cause = "RateLimited"
	// CauseMaxAge: the connection reached limits.maxConnectionAgeSeconds.
	CauseMaxAge Cause = "MaxAge"
	// CauseDrained: the pod is going away.
	CauseDrained Cause = "Drained"
	// CauseDisconnected: somebody asked for it through the API.
	CauseDisconnected Cause = "Disconnected"
	// CauseProtocolError: a peer violated RFC 6455.
	CauseProtocolError Cause = "ProtocolError"
)

// Enders are who ends connections for which cause.
var Enders = map[Cause][]By{
	CauseClientClose:      {ByClient},
	CauseUpstreamClose:    {ByUpstream},
	CauseClientLost:       {ByNetwork},
	CauseUpstreamLost:     {ByNetwork},
	CauseReconnectRefused: {ByUpstream},
	CauseMessageTooBig:    {ByProxy},
	CauseRateLimited:      {ByProxy},
	CauseMaxAge:           {ByProxy},
	CauseDrained:          {ByProxy},
	CauseDisconnected:     {ByAdmin},
	CauseProtocolError:    {ByClient, ByUpstream},
}

// End is how a connection ended.
type End struct {
	By    By
	Cause Cause
	// Code of the close frame that began the end; 1005 where it carried none, 1006
	// where there was no close frame.
	Code int
	// Reason of that close frame, or what happened in a few words.
	Reason string
	// Cut says that the client was reset without a close frame, because a frame
	// towards it did not end, or was not taken, in time.
	Cut bool
}
