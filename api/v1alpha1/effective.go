// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "maps"

// What is built in, where neither the proxy nor its class says anything. The
// ranges and the meaning are in the comments of the fields.
const (
	DefaultReplicas                int32 = 2
	DefaultConnectionLostTimeout   int32 = 60
	DefaultReuseAddr                     = true
	DefaultConnectTimeout          int32 = 30
	DefaultMaxRetries              int32 = 3
	DefaultRetryDelay              int32 = 1000
	DefaultAutoReconnect                 = false
	DefaultAutoReconnectMaxRetries int32 = 5
	DefaultAutoReconnectRetryDelay int32 = 2000

	DefaultReconnectBufferBytes    int32 = 65536
	DefaultReconnectReplayMessages int32 = 0
	DefaultDrainTimeoutSeconds     int32 = 30
	DefaultPort                    int32 = 80
	DefaultTLSPort                 int32 = 443
)

const (
	unitSeconds      = "seconds"
	unitMilliseconds = "milliseconds"
	unitAttempts     = "attempts"
	unitBoolean      = "boolean"

	unitConnections       = "connections"
	unitBytes             = "bytes"
	unitMessagesPerSecond = "messages per second"
)

// Effective returns the eight settings in force for a proxy: per setting what
// the proxy says, else what the class says, else what is built in. A nil class
// is no class.
func (s Settings) Effective(class *WebSocketProxyClass) EffectiveSettings {
	var inherited Settings
	source := SourceBuiltIn
	if class != nil {
		inherited, source = class.Spec.Settings, ClassSource(class.Name)
	}
	integer := func(own, classes *int32, builtIn int32, unit string) EffectiveInteger {
		v, src := pick(own, classes, builtIn, source)
		return EffectiveInteger{Value: v, Unit: unit, Source: src}
	}
	boolean := func(own, classes *bool, builtIn bool) EffectiveBoolean {
		v, src := pick(own, classes, builtIn, source)
		return EffectiveBoolean{Value: v, Unit: unitBoolean, Source: src}
	}
	return EffectiveSettings{
		ConnectionLostTimeout:   integer(s.ConnectionLostTimeout, inherited.ConnectionLostTimeout, DefaultConnectionLostTimeout, unitSeconds),
		ReuseAddr:               boolean(s.ReuseAddr, inherited.ReuseAddr, DefaultReuseAddr),
		ConnectTimeout:          integer(s.ConnectTimeout, inherited.ConnectTimeout, DefaultConnectTimeout, unitSeconds),
		MaxRetries:              integer(s.MaxRetries, inherited.MaxRetries, DefaultMaxRetries, unitAttempts),
		RetryDelay:              integer(s.RetryDelay, inherited.RetryDelay, DefaultRetryDelay, unitMilliseconds),
		AutoReconnect:           boolean(s.AutoReconnect, inherited.AutoReconnect, DefaultAutoReconnect),
		AutoReconnectMaxRetries: integer(s.AutoReconnectMaxRetries, inherited.AutoReconnectMaxRetries, DefaultAutoReconnectMaxRetries, unitAttempts),
		AutoReconnectRetryDelay: integer(s.AutoReconnectRetryDelay, inherited.AutoReconnectRetryDelay, DefaultAutoReconnectRetryDelay, unitMilliseconds),
	}
}

// pick is the precedence of a single value, with the source of what it picked.
func pick[T any](own, classes *T, builtIn T, class SettingSource) (T, SettingSource) {
	switch {
	case own != nil:
		return *own, SourceProxy
	case classes != nil:
		return *classes, class
	default:
		return builtIn, SourceBuiltIn
	}
}

// EffectiveLimits returns the limits in force, field by field the proxy's, else
// the class's. A nil field is no limit.
func (s *WebSocketProxySpec) EffectiveLimits(class *WebSocketProxyClass) Limits {
	l := s.Limits
	if class == nil {
		return l
	}
	c := class.Spec.Limits
	return Limits{
		MaxConnections:          or(l.MaxConnections, c.MaxConnections),
		MaxConnectionsPerClient: or(l.MaxConnectionsPerClient, c.MaxConnectionsPerClient),
		MaxMessageBytes:         or(l.MaxMessageBytes, c.MaxMessageBytes),
		MessagesPerSecond:       or(l.MessagesPerSecond, c.MessagesPerSecond),
		MaxConnectionAgeSeconds: or(l.MaxConnectionAgeSeconds, c.MaxConnectionAgeSeconds),
	}
}

// Effective returns the limits in force with their sources; nil where nothing is
// limited. A nil class is no class.
func (l Limits) Effective(class *WebSocketProxyClass) *EffectiveLimits {
	var inherited Limits
	var source SettingSource
	if class != nil {
		inherited, source = class.Spec.Limits, ClassSource(class.Name)
	}
	e := EffectiveLimits{
		MaxConnections:          limit(l.MaxConnections, inherited.MaxConnections, unitConnections, source),
		MaxConnectionsPerClient: limit(l.MaxConnectionsPerClient, inherited.MaxConnectionsPerClient, unitConnections, source),
		MaxMessageBytes:         limit(l.MaxMessageBytes, inherited.MaxMessageBytes, unitBytes, source),
		MessagesPerSecond:       limit(l.MessagesPerSecond, inherited.MessagesPerSecond, unitMessagesPerSecond, source),
		MaxConnectionAgeSeconds: limit(l.MaxConnectionAgeSeconds, inherited.MaxConnectionAgeSeconds, unitSeconds, source),
	}
	if e == (EffectiveLimits{}) {
		return nil
	}
	return &e
}

func limit[T int32 | int64](own, classes *T, unit string, class SettingSource) *EffectiveLimit {
	v, source := pick(own, classes, 0, class)
	if source == SourceBuiltIn {
		return nil // There is no limit unless somebody sets one.
	}
	return &EffectiveLimit{Value: int64(v), Unit: unit, Source: source}
}

// Effective returns the drain window in force with its source. A nil class is no
// class.
func (d Drain) Effective(class *WebSocketProxyClass) EffectiveDrain {
	var inherited *int32
	var source SettingSource
	if class != nil {
		inherited, source = class.Spec.Drain.TimeoutSeconds, ClassSource(class.Name)
	}
	v, source := pick(d.TimeoutSeconds, inherited, DefaultDrainTimeoutSeconds, source)
	return EffectiveDrain{TimeoutSeconds: EffectiveInteger{Value: v, Unit: unitSeconds, Source: source}}
}

// EffectiveDrainSeconds returns the drain window in force, in seconds.
func (s *WebSocketProxySpec) EffectiveDrainSeconds(class *WebSocketProxyClass) int32 {
	return s.Drain.Effective(class).TimeoutSeconds.Value
}

// EffectivePort returns the port of the Service.
func (s *WebSocketProxySpec) EffectivePort() int32 {
	builtIn := DefaultPort
	if s.Listen.TLS != nil {
		builtIn = DefaultTLSPort
	}
	return deref(s.Listen.Port, builtIn)
}

// EffectiveReplicas returns the number of data-plane pods that are wanted.
func (s *WebSocketProxySpec) EffectiveReplicas() int32 { return deref(s.Replicas, DefaultReplicas) }

// EffectivePodTemplate returns the pod template in force: the proxy's fields,
// else the class's; labels, annotations and nodeSelector key by key.
func (s *WebSocketProxySpec) EffectivePodTemplate(class *WebSocketProxyClass) PodTemplate {
	t := *s.PodTemplate.DeepCopy()
	if class == nil {
		return t
	}
	c := class.Spec.PodTemplate.DeepCopy()
	t.Labels = union(c.Labels, t.Labels)
	t.Annotations = union(c.Annotations, t.Annotations)
	t.NodeSelector = union(c.NodeSelector, t.NodeSelector)
	if t.Resources.Requests == nil && t.Resources.Limits == nil && t.Resources.Claims == nil {
		t.Resources = c.Resources
	}
	if t.Tolerations == nil {
		t.Tolerations = c.Tolerations
	}
	t.Affinity = or(t.Affinity, c.Affinity)
	if t.TopologySpreadConstraints == nil {
		t.TopologySpreadConstraints = c.TopologySpreadConstraints
	}
	return t
}

func or[T any](own, classes *T) *T {
	if own != nil {
		return own
	}
	return classes
}

func deref[T any](p *T, builtIn T) T {
	if p == nil {
		return builtIn
	}
	return *p
}

// union returns base with the entries of over put on top.
func union(base, over map[string]string) map[string]string {
	if len(base) == 0 {
		return over
	}
	u := maps.Clone(base)
	maps.Copy(u, over)
	return u
}
