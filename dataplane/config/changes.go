// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// maxShown bounds what is shown of a value, in bytes: a list may have thousands
// of items.
const maxShown = 200

// Changes says what is different in another configuration, field by field and in
// the order of the snapshot, such as "settings.maxRetries: 3 -> 7". Its version
// and its digest, which change with anything else, are left out. A snapshot holds
// no secrets, so neither does this.
func Changes(before, after *Config) []string {
	var c changes
	c.message("", before.Snapshot.ProtoReflect(), after.Snapshot.ProtoReflect())
	return c
}

type changes []string

func (c *changes) message(path string, before, after protoreflect.Message) {
	fields := after.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := f.JSONName()
		switch {
		case path != "":
			name = path + "." + name
		case name == "version" || name == "digest":
			continue
		}
		c.field(name, f, before, after)
	}
}

func (c *changes) field(name string, f protoreflect.FieldDescriptor, before, after protoreflect.Message) {
	was, is := before.Get(f), after.Get(f)
	switch {
	case f.IsList():
		if !was.Equal(is) {
			c.add(name, list(was.List()), list(is.List()))
		}
	case f.Message() == nil:
		if !was.Equal(is) {
			c.add(name, single(name, was), single(name, is))
		}
	default:
		// That it is there says something, even where it says nothing else.
		if before.Has(f) != after.Has(f) {
			c.add(name, presence(before.Has(f)), presence(after.Has(f)))
		}
		c.message(name, was.Message(), is.Message())
	}
}

func (c *changes) add(name, was, is string) {
	if was == is { // Not as far as it is shown.
		is += " (others)"
	}
	*c = append(*c, name+": "+was+" -> "+is)
}

func presence(has bool) string {
	if has {
		return "set"
	}
	return "not set"
}

// single is a value of a field that is neither a list nor a message. A limit of 0 is
// one that nobody set.
func single(name string, v protoreflect.Value) string {
	if strings.HasPrefix(name, "limits.") && v.String() == "0" {
		return "none"
	}
	return text(v)
}

// text is a value that is neither a list nor a message.
func text(v protoreflect.Value) string {
	switch s := v.String(); {
	case s == "":
		return "none"
	case len(s) > maxShown:
		return strings.ToValidUTF8(s[:maxShown], "") + "…"
	default:
		return s
	}
}

// list shows the items, or how many there are where that would be too long.
func list(l protoreflect.List) string {
	if l.Len() == 0 {
		return "none"
	}
	var items []string
	for i, size := 0, 0; i < l.Len(); i++ {
		items = append(items, item(l.Get(i)))
		if size += len(items[i]); size > maxShown {
			return fmt.Sprintf("%d items", l.Len())
		}
	}
	return strings.Join(items, ", ")
}

// item is a text, or an endpoint.
func item(v protoreflect.Value) string {
	message, ok := v.Interface().(protoreflect.Message)
	if !ok {
		return text(v)
	}
	e, ok := message.Interface().(*dataplanev1alpha1.Endpoint)
	switch {
	case !ok:
		return "…"
	case e.GetTerminating():
		return e.GetAddress() + " (terminating)"
	default:
		return e.GetAddress()
	}
}
