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

// Spec is the spec of the class: the fields that were written and no other. A zero
// that somebody wrote is not the same as a field that nobody wrote. Empty: a class
// that sets nothing. nil: the installation brings no class.
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
	prune(spec)
	return spec, nil
}

// prune removes objects without content. Server-side apply of such an object,
// after one that had content, leaves null in its place (seen with Kubernetes
// 1.36), which the schema of the CRD refuses.
func prune(object map[string]any) {
	for key, value := range object {
		inner, ok := value.(map[string]any)
		if !ok {
			continue
		}
		prune(inner)
		if len(inner) == 0 {
			delete(object, key)
		}
	}
}
