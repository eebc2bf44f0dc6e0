// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"encoding/json"
	"fmt"
)

// convert returns an API value as the apply configuration of the same shape.
// What a user wrote into a spec arrives here complete: absent fields are nil and
// stay out of the result.
func convert[T any](from any) (*T, error) {
	raw, err := json.Marshal(from)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", from, err)
	}
	to := new(T)
	if err := json.Unmarshal(raw, to); err != nil {
		return nil, fmt.Errorf("decode %T: %w", to, err)
	}
	return to, nil
}

// convertAll is convert for each element of a list.
func convertAll[T, F any](from []F) ([]*T, error) {
	to := make([]*T, 0, len(from))
	for _, f := range from {
		t, err := convert[T](f)
		if err != nil {
			return nil, err
		}
		to = append(to, t)
	}
	return to, nil
}
