// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The ranges are those of the markers on the fields; a test compares them to the
// generated schema.

func (s *Settings) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	check := func(name string, value *int32, least, most int32, unit string) {
		errs = append(errs, within(path.Child(name), value, least, most, unit)...)
	}
	check("connectionLostTimeout", s.ConnectionLostTimeout, 0, 86400, unitSeconds)
	check("connectTimeout", s.ConnectTimeout, 1, 3600, unitSeconds)
	check("maxRetries", s.MaxRetries, 0, 100, unitAttempts)
	check("retryDelay", s.RetryDelay, 0, 600000, unitMilliseconds)
	check("autoReconnectMaxRetries", s.AutoReconnectMaxRetries, 0, 1000, unitAttempts)
	check("autoReconnectRetryDelay", s.AutoReconnectRetryDelay, 0, 600000, unitMilliseconds)
	return errs
}

func (r *Reconnect) validate(path *field.Path) field.ErrorList {
	errs := within(path.Child("bufferBytes"), r.BufferBytes, 0, 16<<20, "bytes")
	errs = append(errs, within(path.Child("replayMessages"), r.ReplayMessages, 0, 100, "messages")...)
	if deref(r.ReplayMessages, 0) != 0 && r.BufferBytes != nil && *r.BufferBytes <= 0 {
		errs = append(errs, invalid(path.Child("replayMessages"), *r.ReplayMessages,
			"must be 0 where bufferBytes is 0: what is replayed is kept in that buffer")...)
	}
	return errs
}

func (l *Limits) validate(path *field.Path) field.ErrorList {
	errs := within(path.Child("maxConnections"), l.MaxConnections, 1, 1000000, "connections")
	errs = append(errs, within(path.Child("maxConnectionsPerClient"), l.MaxConnectionsPerClient, 1, 1000000, "connections")...)
	errs = append(errs, within(path.Child("maxMessageBytes"), l.MaxMessageBytes, 1, 1<<40, "bytes")...)
	errs = append(errs, within(path.Child("messagesPerSecond"), l.MessagesPerSecond, 1, 1000000, "messages per second")...)
	errs = append(errs, within(path.Child("maxConnectionAgeSeconds"), l.MaxConnectionAgeSeconds, 1, 31536000, unitSeconds)...)
	return errs
}

func (d *Drain) validate(path *field.Path) field.ErrorList {
	return within(path.Child("timeoutSeconds"), d.TimeoutSeconds, 0, 3600, unitSeconds)
}

// within refuses a value that is set and not in its range. The error says the
// whole range and the unit, whichever end was passed.
func within[N int32 | int64](path *field.Path, value *N, least, most N, unit string) field.ErrorList {
	if value == nil || (*value >= least && *value <= most) {
		return nil
	}
	must := fmt.Sprintf("must be %d to %d", least, most)
	if unit != "" {
		must += " " + unit
	}
	return invalid(path, *value, must)
}
