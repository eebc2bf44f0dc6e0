// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/version"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

func nowhere(string) string { return "" }

func inPod(name string) string {
	if name == dataplanev1alpha1.EnvPodUID {
		return "8f4c3a0e-0000-4000-8000-000000000001"
	}
	return ""
}

func TestAddressesDependOnWhereItRuns(t *testing.T) {
	manifest := &config.File{Manifest: &wsproxyv1alpha1.WebSocketProxy{}}
	manifest.Manifest.Spec.Listen.Port = new(int32(9000))
	snapshot := &config.File{}
	for _, test := range []struct {
		name                     string
		args                     []string
		getenv                   func(string) string
		file                     *config.File
		listen, control, metrics string
	}{
		{"a manifest", nil, nowhere, manifest, ":9000", "127.0.0.1:8081", ":8082"},
		{"a manifest without a port", nil, nowhere, &config.File{Manifest: &wsproxyv1alpha1.WebSocketProxy{}}, ":80", "127.0.0.1:8081", ":8082"},
		{"a snapshot", nil, nowhere, snapshot, ":8080", "127.0.0.1:8081", ":8082"},
		{"a pod", []string{"--secret-dir=/s"}, inPod, snapshot, ":8080", ":8081", ":8082"},
		{"flags", []string{"--listen-address=:1", "--control-address=:2", "--metrics-address=:3"}, nowhere, manifest, ":1", ":2", ":3"},
	} {
		o, err := parse(append(test.args, "--config=x"), test.getenv, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		o = o.complete(test.file)
		if o.listenAddress != test.listen || o.controlAddress != test.control || o.metricsAddress != test.metrics {
			t.Errorf("%s: %q, %q and %q, want %q, %q and %q", test.name, o.listenAddress, o.controlAddress, o.metricsAddress, test.listen, test.control, test.metrics)
		}
	}
}

func TestFlagsThatCannotBeAreRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"--config is required":                      {},
		`unexpected argument "proxy.yaml"`:          {"--config=x", "proxy.yaml"},
		`--log-format: "xml": must be json or text`: {"--config=x", "--log-format=xml"},
		"belong together":                           {"--config=x", "--tls-cert-file=x"},
		"not defined: -nonsense":                    {"--nonsense"},
		"no such file":                              {"--config=" + filepath.Join(t.TempDir(), "absent")},
	} {
		err := run(t.Context(), t.Context(), args, nowhere, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if err := run(t.Context(), t.Context(), []string{"--config=x"}, inPod, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "--secret-dir is required in a pod") {
		t.Errorf("a pod without certificates: %v", err)
	}
}

func TestVersionAndHelpNeedNoConfiguration(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), t.Context(), []string{"--version"}, nowhere, &out, io.Discard); err != nil || out.String() != version.Line("dataplane")+"\n" {
		t.Errorf("--version: %q, %v", out.String(), err)
	}
	out.Reset()
	if err := run(t.Context(), t.Context(), []string{"--help"}, nowhere, io.Discard, &out); err != nil || !strings.Contains(out.String(), "-state-dir") {
		t.Errorf("--help: %q, %v", out.String(), err)
	}
}
