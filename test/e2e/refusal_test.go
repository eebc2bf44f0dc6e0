// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// The whole table of bad manifests is a matter of the API's own tests; these
// show that a cluster refuses, and what the user reads then.
func TestAWrongManifestIsRefusedByName(t *testing.T) {
	for _, test := range []struct {
		name  string
		spec  string
		reads []string
	}{
		{"a timeout out of range", `{"upstream":{"url":"ws://a.example"},"settings":{"connectTimeout":0}}`,
			[]string{"spec.settings.connectTimeout", "0", "must be 1 to 3600 seconds"}},
		{"too many retries", `{"upstream":{"url":"ws://a.example"},"settings":{"maxRetries":101}}`,
			[]string{"spec.settings.maxRetries", "101", "must be 0 to 100 attempts"}},
		{"no upstream", `{"upstream":{}}`,
			[]string{"spec.upstream", "exactly one of serviceRef and url"}},
		{"two upstreams", `{"upstream":{"url":"ws://a.example","serviceRef":{"name":"a","port":80}}}`,
			[]string{"spec.upstream", "exactly one of serviceRef and url"}},
		{"another scheme", `{"upstream":{"url":"http://a.example"}}`,
			[]string{"spec.upstream.url", "http://a.example", "must start with ws:// or wss://"}},
		{"an unknown setting", `{"upstream":{"url":"ws://a.example"},"settings":{"conectTimeout":5}}`,
			[]string{"spec.settings.conectTimeout", "unknown field"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			manifest := fmt.Sprintf(`{"apiVersion":"wsproxy.io/v1alpha1","kind":"WebSocketProxy","metadata":{"name":"wrong"},"spec":%s}`, test.spec)
			out, err := kubectl(t, manifest, "apply", "--dry-run=server", "-f", "-")
			if err == nil {
				t.Fatalf("it was taken: %s", out)
			}
			for _, want := range test.reads {
				if !strings.Contains(out, want) {
					t.Errorf("the message does not say %q:\n%s", want, out)
				}
			}
		})
	}
}
