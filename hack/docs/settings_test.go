// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
)

// root is the root of the repository.
const root = "../.."

func TestSettingsAreWhatTheTypesSay(t *testing.T) {
	want, err := render(root + "/" + crds)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(root + "/" + settings)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the types say: make generate", settings)
	}
	for _, row := range []string{
		"| `connectionLostTimeout` | integer | 0–86400 | 60 | ",
		"| `autoReconnect` | boolean |  | false | ",
		"| `reuseAddr` | boolean |  | true | ",
		"| `bufferBytes` | integer | 0–16777216 (16 MiB) | 65536 | ",
		"| `serviceRef.port` | integer | 1–65535 |  | *Required.* ",
		"| `trustedProxies` | list of strings |  |  | ",
		"| `replicas` | integer | 0–1000 | 2 | ",
		"| `allowedOverrides.tolerations` | boolean |  | true | ",
	} {
		if strings.Count(want, row) != 1 {
			t.Errorf("there is not one row %q", row)
		}
	}
}
