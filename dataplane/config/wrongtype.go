// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// wrongType says of a value that has not the type of its field what the validation
// says of one that is out of range: the field, the value, and what it must be. The
// decoder knows the types and the field, but lists have no indexes there.
func wrongType(raw []byte, wrong *json.UnmarshalTypeError) error {
	var document any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // as it was written
	if err := decoder.Decode(&document); err != nil {
		return wrong // The decoder has read the same before, so this does not happen.
	}
	kind, _, _ := strings.Cut(wrong.Value, " ") // "number 1.5"
	var names []string
	if wrong.Field != "" {
		names = strings.Split(wrong.Field, ".")
	}
	path, value, ok := find(document, nil, names, kind)
	if !ok || path == nil {
		return wrong
	}
	return field.Invalid(path, value, "must be "+wanted(wrong.Type.Kind(), value))
}

// find returns the first value of a JSON kind under the names of its fields. The
// names leave out indexes of lists and keys of maps.
func find(in any, path *field.Path, names []string, kind string) (*field.Path, any, bool) {
	switch in := in.(type) {
	case []any:
		if len(names) == 0 && kind == "array" {
			return path, in, true
		}
		for i, item := range in {
			if at, value, ok := find(item, path.Index(i), names, kind); ok {
				return at, value, true
			}
		}
	case map[string]any:
		if len(names) == 0 && kind == "object" {
			return path, in, true
		}
		for _, name := range slices.Sorted(maps.Keys(in)) {
			rest := names
			if len(names) > 0 {
				if name != names[0] {
					continue
				}
				rest = names[1:]
			}
			if at, value, ok := find(in[name], path.Child(name), rest, kind); ok {
				return at, value, true
			}
		}
	default:
		return path, in, len(names) == 0 && kindOf(in) == kind
	}
	return nil, nil, false
}

// kindOf is what the decoder calls a value that is neither a list nor an object.
func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case bool:
		return "bool"
	case json.Number:
		return "number"
	default:
		return "null"
	}
}

// wanted is what a field of a type of Go must hold instead of a value.
func wanted(kind reflect.Kind, value any) string {
	switch kind {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Int32, reflect.Int64:
		if number, ok := value.(json.Number); ok && !strings.ContainsAny(number.String(), ".eE") {
			return "nearer to 0"
		}
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping of fields"
	default:
		return "of another type"
	}
}
