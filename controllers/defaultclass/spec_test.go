// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package defaultclass

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseKeepsWhatWasWritten(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: `{}`,
		`{"settings":{"autoReconnect":false,"maxRetries":0}}`:         `{"settings":{"autoReconnect":false,"maxRetries":0}}`,
		`{"drain":{"timeoutSeconds":30},"limits":{},"settings":{}}`:   `{"drain":{"timeoutSeconds":30}}`,
		`{"podTemplate":{"resources":{"limits":{}}},"image":"x/y:z"}`: `{"image":"x/y:z"}`,
		`{"limits":{"maxMessageBytes":1073741824},"podTemplate":{}}`:  `{"limits":{"maxMessageBytes":1073741824}}`,
		`{"podTemplate":{"tolerations":[{"operator":"Exists"}]}}`:     `{"podTemplate":{"tolerations":[{"operator":"Exists"}]}}`,
	} {
		spec, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, _ := json.Marshal(spec); spec == nil || string(got) != want {
			t.Errorf("%s became %s, want %s", text, got, want)
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
