// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"encoding/base64"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func FuzzParseToken(f *testing.F) {
	f.Add(position{After: "k5dfau6e5kgemg63i-00000011", Version: 1}.token())
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"after":"k5dfau6e5kgemg63i-0000001w","rv":1}`)))
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"after":"k5dfau6e5kgemg63i-00000011","rv":-1}`)))
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"after":"k5dfau6e5kgemg63i-00000011","rv":1,"missing":"shop/a,shop/b","lacks":7}`)))
	f.Add("")
	f.Add("!")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parseToken(token)
		if err != nil {
			if !apierrors.IsBadRequest(err) {
				t.Errorf("%q: %v", token, err)
			}
			return
		}
		if again, err := parseToken(p.token()); err != nil || again != p {
			t.Errorf("%q is %+v, and its token %+v: %v", token, p, again, err)
		}
	})
}
