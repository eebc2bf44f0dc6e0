// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package defaultclass

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Spec is the spec of the class: exactly the fields that were written. A zero
// that somebody wrote is not the same as a field that nobody wrote. nil: the
// installation brings no class.
type Spec map[string]any

// Parse reads the JSON of a WebSocketProxyClassSpec, {} for a class that sets
// nothing. Errors: no JSON, more than one value, and fields that a class does not
// have, of another type or out of range.
func Parse(text string) (Spec, error) {
	decoder := json.NewDecoder(bytes.NewBufferString(text))
	decoder.DisallowUnknownFields()
	var known *wsproxyv1alpha1.WebSocketProxyClassSpec
	if err := decoder.Decode(&known); err != nil {
		return nil, fmt.Errorf("no spec of a WebSocketProxyClass: %w", err)
	}
	if known == nil {
		return nil, errors.New("no spec of a WebSocketProxyClass: null")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("no spec of a WebSocketProxyClass: more than one value")
	}
	class := wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: Name}, Spec: *known}
	if err := class.Validate().ToAggregate(); err != nil {
		return nil, fmt.Errorf("no spec of a WebSocketProxyClass: %w", err)
	}
	var spec Spec
	// Again, because the type would leave out what is written and empty.
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return spec, nil
}
