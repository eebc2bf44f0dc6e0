// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

// changed returns what a change of the snapshot of these tests is called.
func changed(t *testing.T, change func(*dataplanev1alpha1.Snapshot)) []string {
	t.Helper()
	after := snapshot()
	change(after)
	return config.Changes(&config.Config{Snapshot: snapshot()}, &config.Config{Snapshot: after})
}

func TestChangesSayWhatWasAndWhatIs(t *testing.T) {
	endpoints := func(n int) []*dataplanev1alpha1.Endpoint {
		var all []*dataplanev1alpha1.Endpoint
		for i := range n {
			all = append(all, &dataplanev1alpha1.Endpoint{Address: fmt.Sprintf("10.0.0.%d:8080", i), Terminating: i == 1})
		}
		return all
	}
	before := snapshot()
	for name, test := range map[string]struct {
		change func(*dataplanev1alpha1.Snapshot)
		want   []string
	}{
		"nothing":         {func(*dataplanev1alpha1.Snapshot) {}, nil},
		"a number":        {func(s *dataplanev1alpha1.Snapshot) { s.Settings.MaxRetries = 77 }, []string{fmt.Sprintf("settings.maxRetries: %d -> 77", before.GetSettings().GetMaxRetries())}},
		"a limit":         {func(s *dataplanev1alpha1.Snapshot) { s.Limits.MaxConnections = 0 }, []string{"limits.maxConnections: 10 -> none"}},
		"version, digest": {func(s *dataplanev1alpha1.Snapshot) { s.Version, s.Digest = 99, []byte("x") }, nil},
		"a section": {func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Tls = nil }, []string{
			"upstream.tls: set -> not set", "upstream.tls.serverName: chat.internal -> none",
			"upstream.tls.ca: true -> false", "upstream.tls.clientCertificate: true -> false",
		}},
		"a list":    {func(s *dataplanev1alpha1.Snapshot) { s.Listen.Paths = []string{"/a", "/b"} }, []string{"listen.paths: " + strings.Join(before.GetListen().GetPaths(), ", ") + " -> /a, /b"}},
		"endpoints": {func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Endpoints = endpoints(2) }, []string{"upstream.endpoints: none -> 10.0.0.0:8080, 10.0.0.1:8080 (terminating)"}},
		"many":      {func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Endpoints = endpoints(5000) }, []string{"upstream.endpoints: none -> 5000 items"}},
		"much":      {func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Url = strings.Repeat("ä", 1000) }, []string{"upstream.url: " + before.GetUpstream().GetUrl() + " -> " + strings.Repeat("ä", 100) + "…"}},
	} {
		if got := changed(t, test.change); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	empty := config.Changes(
		&config.Config{Snapshot: &dataplanev1alpha1.Snapshot{Upstream: &dataplanev1alpha1.Upstream{}}},
		&config.Config{Snapshot: &dataplanev1alpha1.Snapshot{Upstream: &dataplanev1alpha1.Upstream{Tls: &dataplanev1alpha1.UpstreamTLS{}}}},
	)
	if want := []string{"upstream.tls: not set -> set"}; !slices.Equal(empty, want) {
		t.Errorf("%q, want %q", empty, want)
	}
	others := config.Changes(
		&config.Config{Snapshot: &dataplanev1alpha1.Snapshot{Upstream: &dataplanev1alpha1.Upstream{Endpoints: endpoints(5000)}}},
		&config.Config{Snapshot: &dataplanev1alpha1.Snapshot{Upstream: &dataplanev1alpha1.Upstream{Endpoints: endpoints(5001)[1:]}}},
	)
	if want := []string{"upstream.endpoints: 5000 items -> 5000 items (others)"}; !slices.Equal(others, want) {
		t.Errorf("%q, want %q", others, want)
	}
}

// Whatever is added to the snapshot, its changes are told.
func TestEveryFieldThatChangesIsTold(t *testing.T) {
	var visit func(path string, in func(*dataplanev1alpha1.Snapshot) protoreflect.Message)
	visit = func(path string, in func(*dataplanev1alpha1.Snapshot) protoreflect.Message) {
		fields := in(&dataplanev1alpha1.Snapshot{}).Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			name := path + f.JSONName()
			switch {
			case name == "version" || name == "digest":
			case f.Message() != nil && !f.IsList():
				visit(name+".", func(s *dataplanev1alpha1.Snapshot) protoreflect.Message { return in(s).Mutable(f).Message() })
			default:
				got := changed(t, func(s *dataplanev1alpha1.Snapshot) { set(in(s), f) })
				if !slices.ContainsFunc(got, func(c string) bool { return strings.HasPrefix(c, name+": ") }) {
					t.Errorf("%s was changed and %q is told", name, got)
				}
			}
		}
	}
	visit("", func(s *dataplanev1alpha1.Snapshot) protoreflect.Message { return s.ProtoReflect() })
}

// set gives a field a value that the snapshot of these tests has nowhere.
func set(m protoreflect.Message, f protoreflect.FieldDescriptor) {
	var value protoreflect.Value
	switch f.Kind() {
	case protoreflect.BoolKind:
		value = protoreflect.ValueOfBool(!m.Get(f).Bool())
	case protoreflect.Int32Kind:
		value = protoreflect.ValueOfInt32(123456)
	case protoreflect.Int64Kind:
		value = protoreflect.ValueOfInt64(123456)
	case protoreflect.StringKind:
		value = protoreflect.ValueOfString("another")
	case protoreflect.MessageKind:
		value = protoreflect.ValueOfMessage(m.Mutable(f).List().NewElement().Message())
	default:
		panic("no value for " + f.FullName())
	}
	if f.IsList() {
		m.Mutable(f).List().Append(value)
		return
	}
	m.Set(f, value)
}
