// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

// Reason says what became of a client's handshake, in a word. It is one
// vocabulary for the log and the metrics; where a connection that was open can
// end for the same reason, the word is that of its cause.
type Reason string

// What became of it.
const (
	// ReasonAccepted: the client got its 101.
	ReasonAccepted Reason = "Accepted"

	// ReasonTLS: there was no TLS with the client, which does not trust the
	// certificate, has no version or cipher in common, or speaks none (400, which only
	// the last gets to see).
	ReasonTLS Reason = "TLS"
	// ReasonNotWebSocket: the request asks for no WebSocket (426).
	ReasonNotWebSocket Reason = "NotWebSocket"
	// ReasonUnsupportedVersion: it asks for another version of WebSocket (426), or
	// in one of HTTP that knows no upgrade (505).
	ReasonUnsupportedVersion Reason = "UnsupportedVersion"
	// ReasonMalformed: it is no handshake according to RFC 6455 (400), or nothing that
	// an upstream can be asked for (502).
	ReasonMalformed Reason = "Malformed"
	// ReasonEarlyBytes: the client spoke before it was answered (400).
	ReasonEarlyBytes Reason = "EarlyBytes"
	// ReasonPathNotServed: the path is not in spec.listen.paths (404).
	ReasonPathNotServed Reason = "PathNotServed"
	// ReasonOriginNotAllowed: the origin is not in spec.listen.allowedOrigins (403).
	ReasonOriginNotAllowed Reason = "OriginNotAllowed"
	// ReasonMaxConnections: spec.limits.maxConnections is reached (503).
	ReasonMaxConnections Reason = "MaxConnections"
	// ReasonMaxConnectionsPerClient: so is spec.limits.maxConnectionsPerClient (429).
	ReasonMaxConnectionsPerClient Reason = "MaxConnectionsPerClient"
	// ReasonNoDescriptors: the process may not open another file (503).
	ReasonNoDescriptors Reason = "NoDescriptors"
	// ReasonDrained: the process is going away (503).
	ReasonDrained Reason = "Drained"
	// ReasonDisconnected: somebody ended the connection before it was open (503, or
	// 499 where a part of the 101 was on its way).
	ReasonDisconnected Reason = "Disconnected"
	// ReasonClientLost: the client left before it was answered (499, which nobody
	// gets to see).
	ReasonClientLost Reason = "ClientLost"

	// ReasonUpstreamRefused: the upstream answered something else than 101, and so
	// did we, with its status.
	ReasonUpstreamRefused Reason = "UpstreamRefused"
	// ReasonUpstreamTimeout: it did not answer within connectTimeout (504).
	ReasonUpstreamTimeout Reason = "UpstreamTimeout"
	// ReasonUpstreamUnreachable: there was no connection to it, or it broke (502).
	ReasonUpstreamUnreachable Reason = "UpstreamUnreachable"
	// ReasonUpstreamTLS: TLS with it failed (502).
	ReasonUpstreamTLS Reason = "UpstreamTLS"
	// ReasonUpstreamMalformed: its answer was none (502).
	ReasonUpstreamMalformed Reason = "UpstreamMalformed"
	// ReasonNoEndpoints: the Service has no endpoint that takes connections (502).
	ReasonNoEndpoints Reason = "NoEndpoints"
)
