// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package dataplanev1alpha1

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// SnapshotOf returns what is in force for a proxy of a class (nil: of none). It
// is the one place where a manifest becomes configuration, in the operator and
// in a data plane without Kubernetes alike. The endpoints of a serviceRef are
// left to the caller, and so is the version.
func SnapshotOf(proxy *wsproxyv1alpha1.WebSocketProxy, class *wsproxyv1alpha1.WebSocketProxyClass) *Snapshot {
	spec := &proxy.Spec
	settings := spec.Settings.Effective(class)
	limits := spec.EffectiveLimits(class)
	return &Snapshot{
		Namespace: proxy.Namespace,
		Proxy:     proxy.Name,
		Settings: &Settings{
			ConnectionLostTimeout:   settings.ConnectionLostTimeout.Value,
			ReuseAddr:               settings.ReuseAddr.Value,
			ConnectTimeout:          settings.ConnectTimeout.Value,
			MaxRetries:              settings.MaxRetries.Value,
			RetryDelay:              settings.RetryDelay.Value,
			AutoReconnect:           settings.AutoReconnect.Value,
			AutoReconnectMaxRetries: settings.AutoReconnectMaxRetries.Value,
			AutoReconnectRetryDelay: settings.AutoReconnectRetryDelay.Value,
		},
		Reconnect: &Reconnect{
			BufferBytes:    valueOr(spec.Reconnect.BufferBytes, wsproxyv1alpha1.DefaultReconnectBufferBytes),
			ReplayMessages: valueOr(spec.Reconnect.ReplayMessages, wsproxyv1alpha1.DefaultReconnectReplayMessages),
		},
		Limits: &Limits{
			MaxConnections:          valueOr(limits.MaxConnections, 0),
			MaxConnectionsPerClient: valueOr(limits.MaxConnectionsPerClient, 0),
			MaxMessageBytes:         valueOr(limits.MaxMessageBytes, 0),
			MessagesPerSecond:       valueOr(limits.MessagesPerSecond, 0),
			MaxConnectionAgeSeconds: valueOr(limits.MaxConnectionAgeSeconds, 0),
		},
		Drain: &Drain{TimeoutSeconds: spec.EffectiveDrainSeconds(class)},
		Listen: &Listen{
			Tls:            spec.Listen.TLS != nil,
			Paths:          spec.Listen.Paths,
			AllowedOrigins: spec.Listen.AllowedOrigins,
			TrustedProxies: spec.Listen.TrustedProxies,
		},
		Upstream: upstreamOf(proxy),
	}
}

func upstreamOf(proxy *wsproxyv1alpha1.WebSocketProxy) *Upstream {
	spec := &proxy.Spec.Upstream
	up := &Upstream{Url: spec.URL, Service: spec.ServiceRef != nil}
	if spec.TLS == nil {
		return up
	}
	up.Tls = &UpstreamTLS{
		ServerName:        spec.TLS.ServerName,
		Ca:                spec.TLS.CASecretName != "",
		ClientCertificate: spec.TLS.ClientCertSecretName != "",
	}
	if up.Tls.ServerName == "" && spec.ServiceRef != nil {
		up.Tls.ServerName = fmt.Sprintf("%s.%s.svc", spec.ServiceRef.Name, proxy.Namespace)
	}
	return up
}

func valueOr[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}

// MarshalSnapshot returns the snapshot as protobuf JSON without its version and its
// digest, which it gets when it is pushed. The
// same snapshot always gives the same bytes (protojson alone varies its white
// space on purpose), so that equal content is never written twice.
func MarshalSnapshot(s *Snapshot) ([]byte, error) {
	s = proto.CloneOf(s)
	s.Version, s.Digest = 0, nil
	raw, err := protojson.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	return append(indented.Bytes(), '\n'), nil
}

// UnmarshalSnapshot reads what MarshalSnapshot wrote, in this version of the
// program or a newer one: fields that it does not know are ignored.
func UnmarshalSnapshot(raw []byte) (*Snapshot, error) {
	s := &Snapshot{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	return s, nil
}
