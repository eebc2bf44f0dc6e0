// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// manifest is what krew reads; an unknown field is an error.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string `json:"version"`
		Homepage         string `json:"homepage"`
		ShortDescription string `json:"shortDescription"`
		Description      string `json:"description"`
		Caveats          string `json:"caveats"`
		Platforms        []struct {
			Selector struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"selector"`
			URI    string `json:"uri"`
			SHA256 string `json:"sha256"`
			Bin    string `json:"bin"`
		} `json:"platforms"`
	} `json:"spec"`
}

func TestTheKrewManifestNamesWhatAReleaseBuilds(t *testing.T) {
	raw, err := os.ReadFile("../../hack/krew/ws.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// What a release does.
	released := regexp.MustCompile(`@SHA256_[A-Z0-9_]+@`).ReplaceAllLiteralString(strings.ReplaceAll(string(raw), "@VERSION@", "1.2.3"), strings.Repeat("a", 64))
	var m manifest
	if err := yaml.UnmarshalStrict([]byte(released), &m); err != nil {
		t.Fatal(err)
	}
	if m.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || m.Kind != "Plugin" || m.Metadata.Name != "ws" || m.Spec.Version != "v1.2.3" {
		t.Errorf("%+v", m)
	}
	// More does not fit into the index of krew.
	if n := len(m.Spec.ShortDescription); n == 0 || n > 50 {
		t.Errorf("the short description has %d characters", n)
	}
	seen := map[string]bool{}
	for _, p := range m.Spec.Platforms {
		system, arch := p.Selector.MatchLabels["os"], p.Selector.MatchLabels["arch"]
		seen[system+"/"+arch] = true
		bin := "kubectl-ws"
		if system == "windows" {
			bin += ".exe"
		}
		uri := "https://github.com/wsproxy/wsproxy/releases/download/v1.2.3/kubectl-ws_1.2.3_" + system + "_" + arch + ".tar.gz"
		if p.Bin != bin || p.URI != uri || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(p.SHA256) {
			t.Errorf("%s/%s: %+v", system, arch, p)
		}
		// Each archive has a checksum of its own.
		if own := "@SHA256_" + strings.ToUpper(system+"_"+arch) + "@"; strings.Count(string(raw), own) != 1 {
			t.Errorf("%s is there %d times", own, strings.Count(string(raw), own))
		}
	}
	want := []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64"}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, want) {
		t.Errorf("it is for %v, want %v", got, want)
	}
}
