// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"strings"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// twice tries something on a proxy that inherits every setting: with the row's
// request, and again with its command.
func (c *mappingTry) twice(body string, try func(change func())) {
	c.t.Helper()
	for _, change := range []func(){
		func() { c.sends(c.operator, "BODY", body) },
		func() { c.types(c.operator, "BODY", body) },
	} {
		c.patch(c.chat, `{"spec":{"settings":null}}`)
		c.effective(nil)
		try(change)
	}
}

// effective waits until every pod has what the proxy says, and fails unless these
// settings are in force because the proxy says so, and every other is inherited.
func (c *mappingTry) effective(own map[string]any) {
	c.t.Helper()
	c.programmed(c.chat)
	raw, err := json.Marshal(c.chat.Status.EffectiveSettings)
	if err != nil {
		c.t.Fatal(err)
	}
	var all map[string]struct {
		Value  any                           `json:"value"`
		Source wsproxyv1alpha1.SettingSource `json:"source"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		c.t.Fatal(err)
	}
	if len(all) != 8 {
		c.t.Errorf("status.effectiveSettings has %d settings, want eight: %s", len(all), raw)
	}
	for name, got := range all {
		want, set := own[name]
		if (got.Source == wsproxyv1alpha1.SourceProxy) != set || set && got.Value != want {
			c.t.Errorf("%s is %v from %s, while the proxy says %v", name, got.Value, got.Source, own)
		}
	}
	for name := range own {
		if _, ok := all[name]; !ok {
			c.t.Errorf("status.effectiveSettings lacks %s: %s", name, raw)
		}
	}
}

// body is what the row's call sends, as it is written in the document and as JSON.
func (c *mappingTry) body() (text string, content map[string]any) {
	c.t.Helper()
	text = c.document.bodies[c.row.body]
	if err := json.Unmarshal([]byte(text), &content); err != nil || len(content) == 0 {
		c.t.Fatalf("the body at #%s: %v: %q", c.row.body, err, text)
	}
	return text, content
}

// mappingBodies are what the documented examples set.
var mappingBodies = map[string]map[string]any{
	"apinizer-full-json-body": {
		"connectionLostTimeout": 60., "reuseAddr": true, "connectTimeout": 30., "maxRetries": 3.,
		"retryDelay": 1000., "autoReconnect": true, "autoReconnectMaxRetries": 5., "autoReconnectRetryDelay": 2000.,
	},
	"apinizer-example-1": {
		"connectionLostTimeout": 120., "connectTimeout": 30.,
		"autoReconnect": true, "autoReconnectMaxRetries": 10., "autoReconnectRetryDelay": 3000.,
	},
	"apinizer-example-2": {"maxRetries": 5., "retryDelay": 2000., "reuseAddr": true},
	"apinizer-example-3": {"autoReconnect": false},
	"apinizer-example-4": {"connectionLostTimeout": 120., "connectTimeout": 30., "autoReconnect": true},
}

func (c *mappingTry) takesTheBody() {
	text, content := c.body()
	if want := mappingBodies[c.row.body]; !maps.Equal(content, want) {
		c.t.Errorf("the document says %v, the documented example %v", content, want)
	}
	c.twice(text, func(change func()) {
		change()
		c.effective(content)
	})
}

func (c *mappingTry) takesWhatIsInTheEnvelope() {
	_, envelope := c.body()
	inside := envelope["websocketSettings"].(map[string]any)
	if want := mappingBodies[c.row.body]; !maps.Equal(inside, want) {
		c.t.Errorf("the document says %v, the documented example %v", inside, want)
	}
	text, err := json.Marshal(inside)
	if err != nil {
		c.t.Fatal(err)
	}
	c.twice(string(text), func(change func()) {
		change()
		c.effective(inside)
	})
	if d := c.chat.Status.Dataplane; d.Pods != 1 || d.Programmed != 1 {
		c.t.Errorf("status.dataplane is %+v", d)
	}
}

func (c *mappingTry) takesNoEnvelope() {
	text := c.document.bodies["apinizer-example-4"]
	c.programmed(c.chat)
	generation := c.chat.Generation
	if got := c.sends(c.operator, "BODY", text); !strings.Contains(got.status.Message, `unknown field "spec.settings.websocketSettings"`) {
		c.t.Error(got.status.Message)
	}
	out, err := c.typesAnyhow(c.operator, "BODY", text)
	if err != nil || !strings.Contains(out, `Warning: unknown field "spec.settings.websocketSettings"`) {
		c.t.Errorf("%v: %s", err, out)
	}
	if c.programmed(c.chat); c.chat.Generation != generation {
		c.t.Errorf("the generation went from %d to %d", generation, c.chat.Generation)
	}
}

func (c *mappingTry) keepsWhatIsNotProvided() {
	c.twice("", func(change func()) {
		c.patch(c.chat, `{"spec":{"settings":{"maxRetries":6,"retryDelay":1234}}}`)
		change()
		c.effective(map[string]any{"maxRetries": 7., "retryDelay": 1234.})
	})
}

func (c *mappingTry) inheritsAgain() {
	c.twice("", func(change func()) {
		c.patch(c.chat, `{"spec":{"settings":{"connectTimeout":9,"maxRetries":6}}}`)
		c.effective(map[string]any{"connectTimeout": 9., "maxRetries": 6.})
		change()
		c.effective(map[string]any{"maxRetries": 6.})
	})
}

func (c *mappingTry) refusesTheValue() {
	const field = "spec.settings.connectTimeout"
	c.programmed(c.chat)
	generation := c.chat.Generation
	c.namesField(c.sends(c.operator), field)
	if out := c.types(c.operator); !strings.Contains(out, field) {
		c.t.Error(out)
	}
	if c.programmed(c.chat); c.chat.Generation != generation {
		c.t.Errorf("the generation went from %d to %d", generation, c.chat.Generation)
	}
}
