// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

var ofTest = release{"v1.2.3", "0123abc", "2026-11-22T00:00:00Z"}

// described is the bill of materials of echo, which it asks for twice.
func described(t *testing.T) []byte {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "echo")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "github.com/wsproxy/wsproxy/hack/echo")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var out, again bytes.Buffer
	if err := errors.Join(run(ofTest, []string{binary}, &out), run(ofTest, []string{binary}, &again)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Error("two bills of materials of the same binary differ")
	}
	return out.Bytes()
}

func TestWhatIsInABinaryIsNamed(t *testing.T) {
	raw := described(t)
	var b bom
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	program := b.Metadata.Component
	if program.Name != "echo" || program.Version != "v1.2.3" || program.PackageURL != "pkg:golang/github.com/wsproxy/wsproxy@v1.2.3#hack/echo" {
		t.Errorf("it is of %+v", program)
	}
	// RFC 9562: version 8, variant 10.
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.SerialNumber) {
		t.Errorf("its number is %s", b.SerialNumber)
	}
	refs := map[string]string{}
	for _, c := range b.Components {
		refs[c.Ref] = c.Name
	}
	if got := refs["pkg:golang/stdlib@"+strings.TrimPrefix(runtime.Version(), "go")]; got != "stdlib" {
		t.Errorf("no standard library in %v", refs)
	}
	raw, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`github\.com/gorilla/websocket (\S+)`).FindSubmatch(raw)[1]
	if _, ok := refs["pkg:golang/github.com/gorilla/websocket@"+string(version)]; !ok {
		t.Errorf("no gorilla/websocket in %v", refs)
	}
	// Whatever is depended on is a component, and each once.
	if len(b.Dependencies) != 1 || b.Dependencies[0].Ref != program.Ref || len(b.Dependencies[0].DependsOn) != len(refs) || len(refs) != len(b.Components) {
		t.Errorf("dependencies %+v", b.Dependencies)
	}
	for _, ref := range b.Dependencies[0].DependsOn {
		if refs[ref] == "" {
			t.Errorf("%s is no component", ref)
		}
	}
}

func TestAVersionIsEscapedInAPackageURL(t *testing.T) {
	if got := packageURL("example.com/m", "v2.0.0+incompatible"); got != "pkg:golang/example.com/m@v2.0.0%2Bincompatible" {
		t.Error(got)
	}
}

func TestWithoutAVersionThereIsNoBill(t *testing.T) {
	if err := run(release{commit: "0123abc", created: "2026-11-22T00:00:00Z"}, []string{"x"}, &bytes.Buffer{}); err == nil || !strings.HasPrefix(err.Error(), "usage:") {
		t.Error(err)
	}
}
