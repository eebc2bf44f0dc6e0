// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Config is a snapshot with everything compiled that connections look up. It is
// never changed after Compile returned it, so any number of goroutines may read
// one, and everything read from one Config belongs together.
type Config struct {
	// Snapshot is what the rest was compiled from. It must not be changed.
	Snapshot *dataplanev1alpha1.Snapshot

	// ConnectionLostTimeout is the silence after which a leg is lost; 0 is off.
	ConnectionLostTimeout time.Duration
	// ReuseAddr is the value of SO_REUSEADDR on sockets that are opened.
	ReuseAddr bool
	// ConnectTimeout bounds one attempt to reach the upstream, 1 s to 1 h.
	ConnectTimeout time.Duration
	// MaxRetries is the number of attempts after the first one, 0 to 100.
	MaxRetries int
	// RetryDelay is the least pause between those attempts, 0 to 10 min.
	RetryDelay time.Duration
	// AutoReconnect says whether a client is held while its upstream is away.
	AutoReconnect bool
	// AutoReconnectMaxRetries is the number of attempts to get a lost upstream
	// back, 0 to 1000.
	AutoReconnectMaxRetries int
	// AutoReconnectRetryDelay is the least pause between those, 0 to 10 min.
	AutoReconnectRetryDelay time.Duration

	// ReconnectBufferBytes bounds what is kept of a held client's messages, 0 to
	// 16 MiB.
	ReconnectBufferBytes int
	// ReplayMessages is the number of first messages that every new upstream is
	// told again, 0 to 100.
	ReplayMessages int

	// MaxConnections that this pod accepts; 0 is no limit, here and below.
	MaxConnections int
	// MaxConnectionsPerClient that this pod accepts from one address.
	MaxConnectionsPerClient int
	// MaxMessageBytes is the largest payload of a message, as on the wire.
	MaxMessageBytes int64
	// MessagesPerSecond that one client may send, with a burst of one second's.
	MessagesPerSecond int
	// MaxConnectionAge is the age at which a connection is closed.
	MaxConnectionAge time.Duration

	// DrainTimeout is the window over which a drain closes connections, 0 to 1 h.
	DrainTimeout time.Duration

	// ListenTLS says whether clients use TLS.
	ListenTLS bool
	// TrustedProxies are the networks whose forwarding headers are believed.
	TrustedProxies []netip.Prefix

	// UpstreamURL is where to connect; its scheme is ws or wss. It is nil where
	// endpoints are used. It must not be changed.
	UpstreamURL *url.URL
	// Endpoints are where to connect where UpstreamURL is nil; there may be none
	// for the moment.
	Endpoints []Endpoint
	// UpstreamTLS says how to reach the upstream over TLS; nil is without. It is
	// set, if only to its zero value, wherever UpstreamURL is a wss URL.
	UpstreamTLS *UpstreamTLS

	paths   []string
	origins map[string]struct{}
}

// Endpoint is one address of the upstream's Service.
type Endpoint struct {
	Address netip.AddrPort
	// Terminating endpoints get nothing new.
	Terminating bool
}

// UpstreamTLS says how to reach the upstream over TLS.
type UpstreamTLS struct {
	// ServerName is the name that the certificate must carry, and SNI. Empty:
	// the host that is dialed.
	ServerName string
	// CA says whether the upstream is verified with upstream-ca.crt rather than
	// with the certificates of the system.
	CA bool
	// ClientCertificate says whether upstream.crt and upstream.key are shown.
	ClientCertificate bool
}

// Trusted reports whether addr belongs to a proxy whose forwarding headers are
// believed. An IPv4 address in IPv6 form is judged as the IPv4 address.
func (c *Config) Trusted(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, network := range c.TrustedProxies {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// OriginAllowed reports whether a browser may connect from origin, the value of
// the Origin header. Where the configuration names no origins, any may.
func (c *Config) OriginAllowed(origin string) bool {
	if len(c.origins) == 0 {
		return true
	}
	_, ok := c.origins[normalOrigin(origin)]
	return ok
}

// PathServed reports whether path, which starts with a slash and has neither
// query nor dot segments, is below one of the prefixes, compared by whole
// segments: /chat serves /chat and /chat/room but not /chats. Where the
// configuration names no prefixes, every path is served.
func (c *Config) PathServed(path string) bool {
	if len(c.paths) == 0 {
		return true
	}
	for _, prefix := range c.paths {
		rest, ok := strings.CutPrefix(path, prefix)
		if ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// normalOrigin is the form in which origins are compared: RFC 6454 section 6.2
// serializes scheme and host in lower case and leaves the scheme's own port out,
// but people who write manifests do not.
func normalOrigin(origin string) string {
	origin = strings.ToLower(origin)
	switch {
	case strings.HasPrefix(origin, "https://"):
		return strings.TrimSuffix(origin, ":443")
	case strings.HasPrefix(origin, "http://"):
		return strings.TrimSuffix(origin, ":80")
	default:
		return origin
	}
}
