// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/api/v1alpha1/manifesttest"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

func TestAValueOfAWrongTypeIsNamedWithItsFieldAndWhatItMustBe(t *testing.T) {
	const head = "{apiVersion: wsproxy.io/v1alpha1, kind: WebSocketProxy, metadata: {name: echo}, spec: "
	for spec, want := range map[string]string{
		"{settings: {connectTimeout: [1]}}":                    "spec.settings.connectTimeout: Invalid value: [1]: must be a whole number",
		`{settings: {maxRetries: "x"}}`:                        `spec.settings.maxRetries: Invalid value: "x": must be a whole number`,
		"{settings: {maxRetries: 1.5}}":                        "spec.settings.maxRetries: Invalid value: 1.5: must be a whole number",
		"{settings: {maxRetries: 3000000000}}":                 "spec.settings.maxRetries: Invalid value: 3000000000: must be nearer to 0",
		"{settings: {retryDelay: {seconds: 1}}}":               `spec.settings.retryDelay: Invalid value: {"seconds":1}: must be a whole number`,
		`{settings: {autoReconnect: "yes"}}`:                   `spec.settings.autoReconnect: Invalid value: "yes": must be true or false`,
		"{settings: [a]}":                                      `spec.settings: Invalid value: ["a"]: must be a mapping of fields`,
		"{listen: {paths: /chat}}":                             `spec.listen.paths: Invalid value: "/chat": must be a list`,
		"{listen: {paths: [/a, /b, 3]}}":                       "spec.listen.paths[2]: Invalid value: 3: must be text",
		"{upstream: {url: 5}}":                                 "spec.upstream.url: Invalid value: 5: must be text",
		"{podTemplate: {tolerations: [{key: a}, {key: [b]}]}}": `spec.podTemplate.tolerations[1].key: Invalid value: ["b"]: must be text`,
		"{podTemplate: {nodeSelector: {disk: true}}}":          "spec.podTemplate.nodeSelector.disk: Invalid value: true: must be text",
		"7": "spec: Invalid value: 7: must be a mapping of fields",
	} {
		_, err := config.Parse([]byte(head + spec + "}"))
		if !errors.Is(err, config.ErrInvalid) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s:\n%v, want\n%s", spec, err, want)
		}
	}
}

func TestEveryMalformedManifestOfTheTableIsRefusedWithTheField(t *testing.T) {
	for _, m := range manifesttest.Read(t, "../../api/v1alpha1/testdata/manifests/malformed") {
		if _, err := config.Parse(m.YAML); err == nil || !strings.Contains(err.Error(), m.Field) {
			t.Errorf("%s: %v, want it to name %s", m.Name, err, m.Field)
		}
	}
}
