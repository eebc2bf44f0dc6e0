// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package defaultclass

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseKeepsWhatWasWritten(t *testing.T) {
	for _, text := range []string{
		`{}`,
		`{"settings":{"autoReconnect":false,"maxRetries":0}}`,
		`{"drain":{"timeoutSeconds":30},"limits":{},"settings":{"connectTimeout":5}}`,
	} {
		spec, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, _ := json.Marshal(spec); string(got) != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                     "EOF",
		`null`:                                 "null",
		`[]`:                                   "cannot unmarshal array",
		`{} {}`:                                "more than one value",
		`{"setings":{}}`:                       `unknown field "setings"`,
		`{"settings":{"maxRetry":1}}`:          `unknown field "maxRetry"`,
		`{"settings":{"connectTimeout":"5s"}}`: "cannot unmarshal string",
		`{"settings":{"connectTimeout":0}}`:    "spec.settings.connectTimeout",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
