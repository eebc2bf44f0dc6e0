// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

const manifest = `# A proxy for a laptop.
apiVersion: wsproxy.io/v1alpha1
kind: WebSocketProxy
metadata:
  name: echo
spec:
  listen: {port: 9000}
  upstream: {url: "ws://127.0.0.1:7000"}
  settings: {connectTimeout: 5}
`

const class = `
apiVersion: wsproxy.io/v1alpha1
kind: WebSocketProxyClass
metadata:
  name: %NAME%
  annotations: {wsproxy.io/is-default-class: "%DEFAULT%"}
spec:
  settings: {connectTimeout: 9, maxRetries: 8}
`

func classManifest(name, isDefault string) string {
	return strings.NewReplacer("%NAME%", name, "%DEFAULT%", isDefault).Replace(class)
}

func parse(t *testing.T, content string) *config.File {
	t.Helper()
	f, err := config.Parse([]byte(content))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return f
}

func TestParseTellsManifestsFromSnapshotsByContent(t *testing.T) {
	f := parse(t, manifest)
	if f.Manifest == nil || f.Manifest.Spec.EffectivePort() != 9000 {
		t.Errorf("manifest %v", f.Manifest)
	}
	if c := f.Config; c.ConnectTimeout != 5*time.Second || c.MaxRetries != 3 || c.Snapshot.GetNamespace() != "default" || c.Snapshot.GetProxy() != "echo" {
		t.Errorf("compiled %v", c.Snapshot)
	}
	asJSON := `{"apiVersion":"wsproxy.io/v1alpha1","kind":"WebSocketProxy","metadata":{"name":"echo","namespace":"shop"},"spec":{"upstream":{"url":"ws://127.0.0.1:7000"}}}`
	if f := parse(t, asJSON); f.Manifest == nil || f.Config.Snapshot.GetNamespace() != "shop" {
		t.Errorf("JSON manifest: %v", f.Config.Snapshot)
	}
	raw, err := dataplanev1alpha1.MarshalSnapshot(snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if f := parse(t, string(raw)); f.Manifest != nil || f.Config.MaxRetries != 4 || f.Config.Snapshot.GetVersion() != 0 {
		t.Errorf("snapshot: %v", f.Config.Snapshot)
	}
}

func TestManifestInheritsFromTheClassesInItsFile(t *testing.T) {
	named := strings.Replace(manifest, "spec:\n", "spec:\n  className: fast\n", 1)
	for name, test := range map[string]struct {
		content string
		retries int
	}{
		"named":                  {named + "---" + classManifest("fast", "false"), 8},
		"default":                {classManifest("system", "true") + "---\n" + manifest, 8},
		"neither":                {manifest + "---" + classManifest("slow", "false"), 3},
		"named beside a default": {named + "---" + strings.Replace(classManifest("system", "true"), "8", "7", 1) + "---" + classManifest("fast", "false"), 8},
	} {
		c := parse(t, test.content).Config
		if c.MaxRetries != test.retries || c.ConnectTimeout != 5*time.Second {
			t.Errorf("%s: maxRetries %d, connectTimeout %v; want %d and the proxy's own 5s", name, c.MaxRetries, c.ConnectTimeout, test.retries)
		}
	}
}

func TestWhatHasNoEffectIsNamed(t *testing.T) {
	onPods := strings.Replace(manifest, "spec:\n", "spec:\n  replicas: 1\n  service: {type: NodePort}\n  podTemplate: {labels: {a: b}}\n", 1)
	withImage := strings.Replace(classManifest("system", "true"), "spec:\n", "spec:\n  image: x\n", 1)
	for name, test := range map[string]struct {
		content string
		want    []string
	}{
		"nothing":         {manifest, nil},
		"pods":            {onPods, []string{"spec.replicas", "spec.service", "spec.podTemplate"}},
		"a class's image": {manifest + "---" + withImage, []string{"WebSocketProxyClass system: spec.image"}},
		"an unused class": {manifest + "---" + classManifest("slow", "false"), []string{"WebSocketProxyClass slow"}},
		"a used class":    {manifest + "---" + classManifest("system", "true"), nil},
	} {
		if got := parse(t, test.content).Ignored; !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestParseRefusesWithTheFieldAtFault(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(manifest, old, with, 1) }
	for name, test := range map[string]struct{ content, want string }{
		"nothing":             {"", "the file is empty"},
		"comments only":       {"# hello\n---\n", "the file is empty"},
		"no YAML":             {"a: [", "decode YAML"},
		"a list":              {"[1]", "decode snapshot"},
		"a number":            {"12", "decode snapshot"},
		"out of range":        {replace("connectTimeout: 5", "connectTimeout: 0"), "spec.settings.connectTimeout: Invalid value: 0"},
		"unknown field":       {replace("connectTimeout", "connectTimeOut"), `unknown field "spec.settings.connectTimeOut"`},
		"field given twice":   {replace("settings: {", "settings: {connectTimeout: 7, "), "connectTimeout"},
		"wrong type":          {replace("connectTimeout: 5", "connectTimeout: soon"), "connectTimeout"},
		"a Service":           {replace(`url: "ws://127.0.0.1:7000"`, "serviceRef: {name: chat, port: 80}"), "spec.upstream.serviceRef: Forbidden: a Service can only be found on Kubernetes; set upstream.url"},
		"no upstream":         {replace(`url: "ws://127.0.0.1:7000"`, ""), "spec.upstream"},
		"no name":             {replace("name: echo", "labels: {}"), "metadata.name"},
		"an http URL":         {replace("ws://", "http://"), "spec.upstream.url"},
		"another group":       {replace("wsproxy.io/v1alpha1", "v1"), `apiVersion: "v1": must be wsproxy.io/v1alpha1`},
		"neither kind":        {replace("kind: WebSocketProxy\n", ""), `kind: "": must be WebSocketProxy`},
		"no type at all":      {"metadata: {name: echo}\nspec: {}", `apiVersion: "": must be wsproxy.io/v1alpha1`},
		"a list behind it":    {manifest + "---\n[1]", `apiVersion: "": must be wsproxy.io/v1alpha1`},
		"a snapshot behind":   {manifest + "---\nproxy: echo", `apiVersion: "": must be wsproxy.io/v1alpha1`},
		"unknown section":     {replace("spec:\n", "spec:\n  setings: {}\n"), `unknown field "spec.setings"`},
		"another kind":        {replace("kind: WebSocketProxy", "kind: Proxy"), `kind: "Proxy": must be WebSocketProxy`},
		"two proxies":         {manifest + "---\n" + manifest, "more than one WebSocketProxy"},
		"a class alone":       {classManifest("fast", "true"), "holds no WebSocketProxy"},
		"an absent class":     {replace("spec:\n", "spec:\n  className: fast\n"), `spec.className: Not found: "fast"`},
		"two default classes": {manifest + "---" + classManifest("a", "true") + "---" + classManifest("b", "true"), "spec.className"},
		"a bad class":         {manifest + "---" + strings.Replace(classManifest("a", "false"), "maxRetries: 8", "maxRetries: 101", 1), "maxRetries"},
		"snapshot range":      {`{"namespace":"shop","proxy":"chat","settings":{"connectTimeout":30},"upstream":{"url":"ws://a"},"drain":{"timeoutSeconds":9999}}`, "drain.timeoutSeconds: Invalid value: 9999: must be 0 to 3600"},
		"snapshot wrong type": {`{"proxy":7}`, "decode snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse([]byte(test.content))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want it to say %q", err, test.want)
			}
		})
	}
}

// What was read is in force as it stands: whatever is accepted must be within
// the ranges, name its proxy, and have somewhere to connect to.
func FuzzParse(f *testing.F) {
	raw, err := dataplanev1alpha1.MarshalSnapshot(snapshot())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(manifest))
	f.Add([]byte(manifest + "---" + classManifest("system", "true")))
	f.Add([]byte("kind: {}"))
	f.Add([]byte("---\n---\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := config.Parse(raw)
		if err != nil {
			return
		}
		c := file.Config
		if c.ConnectTimeout < time.Second || c.ConnectTimeout > time.Hour || c.MaxRetries < 0 || c.MaxRetries > 100 || c.DrainTimeout > time.Hour {
			t.Errorf("out of range: %v", c.Snapshot)
		}
		if c.Snapshot.GetProxy() == "" || c.Snapshot.GetNamespace() == "" {
			t.Errorf("no name: %v", c.Snapshot)
		}
		if (c.UpstreamURL == nil) != c.Snapshot.GetUpstream().GetService() {
			t.Errorf("no upstream: %v", c.Snapshot)
		}
		if file.Manifest != nil && c.UpstreamURL == nil {
			t.Errorf("a manifest without url: %v", c.Snapshot)
		}
	})
}
