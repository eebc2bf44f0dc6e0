// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/util/validation/field"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// ErrInvalid says that a configuration cannot be used: because of what it says, or
// because what it needs is not there. It is what every error of Compile is.
var ErrInvalid = errors.New("unusable configuration")

// Compile checks a snapshot and compiles it. The snapshot is copied. The error
// is an ErrInvalid that names every field at fault with its value and with what
// it must be; the names are those of the manifest's spec.
func Compile(snapshot *dataplanev1alpha1.Snapshot) (*Config, error) {
	if snapshot == nil {
		return nil, fmt.Errorf("%w: snapshot: required", ErrInvalid)
	}
	c := &compiler{from: proto.CloneOf(snapshot)}
	c.identity()
	c.settings()
	c.limits()
	c.listen()
	c.upstream()
	if err := c.errs.ToAggregate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c.to.Snapshot = c.from
	return &c.to, nil
}

// compiler collects the errors of all fields, so that a manifest is put right
// in one go.
type compiler struct {
	from *dataplanev1alpha1.Snapshot
	to   Config
	errs field.ErrorList
}

func (c *compiler) invalid(path *field.Path, value any, must string) {
	c.errs = append(c.errs, field.Invalid(path, value, must))
}

func (c *compiler) identity() {
	if c.from.GetNamespace() == "" {
		c.errs = append(c.errs, field.Required(field.NewPath("namespace"), "a snapshot names its proxy"))
	}
	if c.from.GetProxy() == "" {
		c.errs = append(c.errs, field.Required(field.NewPath("proxy"), "a snapshot names its proxy"))
	}
}

// settings compiles the eight settings; their ranges are those of the CRD.
func (c *compiler) settings() {
	s, path := c.from.GetSettings(), field.NewPath("settings")
	c.to.ConnectionLostTimeout = time.Second * time.Duration(between(c, path.Child("connectionLostTimeout"), s.GetConnectionLostTimeout(), 0, 86400))
	c.to.ReuseAddr = s.GetReuseAddr()
	c.to.ConnectTimeout = time.Second * time.Duration(between(c, path.Child("connectTimeout"), s.GetConnectTimeout(), 1, 3600))
	c.to.MaxRetries = int(between(c, path.Child("maxRetries"), s.GetMaxRetries(), 0, 100))
	c.to.RetryDelay = time.Millisecond * time.Duration(between(c, path.Child("retryDelay"), s.GetRetryDelay(), 0, 600000))
	c.to.AutoReconnect = s.GetAutoReconnect()
	c.to.AutoReconnectMaxRetries = int(between(c, path.Child("autoReconnectMaxRetries"), s.GetAutoReconnectMaxRetries(), 0, 1000))
	c.to.AutoReconnectRetryDelay = time.Millisecond * time.Duration(between(c, path.Child("autoReconnectRetryDelay"), s.GetAutoReconnectRetryDelay(), 0, 600000))

	r, path := c.from.GetReconnect(), field.NewPath("reconnect")
	c.to.ReconnectBufferBytes = int(between(c, path.Child("bufferBytes"), r.GetBufferBytes(), 0, 16<<20))
	c.to.ReplayMessages = int(between(c, path.Child("replayMessages"), r.GetReplayMessages(), 0, 100))

	path = field.NewPath("drain", "timeoutSeconds")
	c.to.DrainTimeout = time.Second * time.Duration(between(c, path, c.from.GetDrain().GetTimeoutSeconds(), 0, 3600))
}

func (c *compiler) limits() {
	l, path := c.from.GetLimits(), field.NewPath("limits")
	c.to.MaxConnections = int(atLeastZero(c, path.Child("maxConnections"), l.GetMaxConnections()))
	c.to.MaxConnectionsPerClient = int(atLeastZero(c, path.Child("maxConnectionsPerClient"), l.GetMaxConnectionsPerClient()))
	c.to.MaxMessageBytes = atLeastZero(c, path.Child("maxMessageBytes"), l.GetMaxMessageBytes())
	c.to.MessagesPerSecond = int(atLeastZero(c, path.Child("messagesPerSecond"), l.GetMessagesPerSecond()))
	c.to.MaxConnectionAge = time.Second * time.Duration(atLeastZero(c, path.Child("maxConnectionAgeSeconds"), l.GetMaxConnectionAgeSeconds()))
}

func (c *compiler) listen() {
	l, path := c.from.GetListen(), field.NewPath("listen")
	c.to.ListenTLS = l.GetTls()
	for i, prefix := range l.GetPaths() {
		if !strings.HasPrefix(prefix, "/") || strings.ContainsAny(prefix, "?# \t\r\n") {
			c.invalid(path.Child("paths").Index(i), prefix, "must start with / and have neither query nor fragment")
			continue
		}
		// A prefix is whole segments, so a slash at its end says nothing; "/" is
		// everything.
		c.to.paths = append(c.to.paths, strings.TrimRight(prefix, "/"))
	}
	if n := len(l.GetAllowedOrigins()); n > 0 {
		c.to.origins = make(map[string]struct{}, n)
	}
	for i, origin := range l.GetAllowedOrigins() {
		scheme, host, ok := strings.Cut(origin, "://")
		if !ok || scheme == "" || host == "" || strings.ContainsAny(host, "/?#@ \t\r\n") {
			c.invalid(path.Child("allowedOrigins").Index(i), origin, "must be scheme://host or scheme://host:port")
			continue
		}
		c.to.origins[normalOrigin(origin)] = struct{}{}
	}
	for i, network := range l.GetTrustedProxies() {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			c.invalid(path.Child("trustedProxies").Index(i), network, "must be a network in CIDR notation, such as 10.0.0.0/8")
			continue
		}
		c.to.TrustedProxies = append(c.to.TrustedProxies, prefix)
	}
}

func (c *compiler) upstream() {
	u, path := c.from.GetUpstream(), field.NewPath("upstream")
	switch {
	case u.GetService() && u.GetUrl() != "":
		c.invalid(path.Child("url"), u.GetUrl(), "exactly one of serviceRef and url must be set")
	case u.GetService():
		c.endpoints(u, path)
	case u.GetUrl() == "":
		c.errs = append(c.errs, field.Required(path, "exactly one of serviceRef and url must be set"))
	default:
		c.url(u, path.Child("url"))
	}
	if t := u.GetTls(); t != nil {
		if c.to.UpstreamURL != nil && c.to.UpstreamURL.Scheme == "ws" {
			c.invalid(path.Child("url"), u.GetUrl(), "tls needs serviceRef or a url that starts with wss://")
		}
		c.to.UpstreamTLS = &UpstreamTLS{ServerName: t.GetServerName(), CA: t.GetCa(), ClientCertificate: t.GetClientCertificate()}
	} else if c.to.UpstreamURL != nil && c.to.UpstreamURL.Scheme == "wss" {
		c.to.UpstreamTLS = &UpstreamTLS{}
	}
}

func (c *compiler) url(u *dataplanev1alpha1.Upstream, path *field.Path) {
	const must = "must be an absolute ws:// or wss:// URL with a host and without user, query and fragment, such as wss://chat.example.com/ws"
	parsed, err := url.Parse(u.GetUrl())
	if err != nil || (parsed.Scheme != "ws" && parsed.Scheme != "wss") || parsed.Hostname() == "" ||
		parsed.User != nil || strings.ContainsAny(u.GetUrl(), "?#") {
		c.invalid(path, u.GetUrl(), must)
		return
	}
	c.to.UpstreamURL = parsed
}

func (c *compiler) endpoints(u *dataplanev1alpha1.Upstream, path *field.Path) {
	for i, e := range u.GetEndpoints() {
		address, err := netip.ParseAddrPort(e.GetAddress())
		if err != nil || address.Port() == 0 {
			c.invalid(path.Child("endpoints").Index(i).Child("address"), e.GetAddress(), "must be an IP address and a port, such as 10.0.0.7:8080 or [fd00::7]:8080")
			continue
		}
		c.to.Endpoints = append(c.to.Endpoints, Endpoint{Address: address, Terminating: e.GetTerminating()})
	}
}

func between[N cmp.Ordered](c *compiler, path *field.Path, value, least, most N) N {
	if value < least || value > most {
		c.invalid(path, value, fmt.Sprintf("must be %v to %v", least, most))
	}
	return value
}

func atLeastZero[N int32 | int64](c *compiler, path *field.Path, value N) N {
	if value < 0 {
		c.invalid(path, value, "must be at least 1, or 0 for no limit")
	}
	return value
}
