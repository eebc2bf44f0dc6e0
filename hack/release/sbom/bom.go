// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"fmt"
	"path"
	"runtime/debug"
	"strings"
)

// bom is what we say of CycloneDX 1.6 (ECMA-424).
type (
	bom struct {
		Schema       string       `json:"$schema"`
		Format       string       `json:"bomFormat"`
		SpecVersion  string       `json:"specVersion"`
		SerialNumber string       `json:"serialNumber"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Ref        string     `json:"bom-ref"`
		Type       string     `json:"type"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		Hashes     []hash     `json:"hashes,omitempty"`
		Licenses   []license  `json:"licenses,omitempty"`
		PackageURL string     `json:"purl"`
		Properties []property `json:"properties,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	license struct {
		License struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn,omitempty"`
	}
)

// release is what a binary is of, which its build does not know (-buildvcs=false):
// version, commit, and the time of the commit in RFC 3339.
type release struct{ version, commit, created string }

// bomOf describes a binary of this project, with what the linker wrote into it.
func bomOf(binary []byte, info *debug.BuildInfo, of release) bom {
	sum := sha256.Sum256(binary)
	program := component{
		Type: "application", Name: path.Base(info.Path), Version: of.version,
		PackageURL: packageURL(info.Main.Path, of.version) + strings.Replace(info.Path, info.Main.Path+"/", "#", 1),
		Hashes:     []hash{{"SHA-256", fmt.Sprintf("%x", sum)}},
		Licenses:   make([]license, 1),
		Properties: []property{{"wsproxy:commit", of.commit}},
	}
	program.Licenses[0].License.ID = "Apache-2.0"
	program.Ref = program.PackageURL
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "-trimpath":
			program.Properties = append(program.Properties, property{"go:build:" + s.Key, s.Value})
		}
	}
	b := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		SerialNumber: serial(sum), Metadata: metadata{of.created, program},
	}
	// Scanners know the standard library by this name.
	number := strings.TrimPrefix(info.GoVersion, "go")
	b.add(component{Type: "library", Name: "stdlib", Version: number, PackageURL: packageURL("stdlib", number)})
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.add(component{Type: "library", Name: m.Path, Version: m.Version, PackageURL: packageURL(m.Path, m.Version)})
	}
	// Which module needs which is not in a binary: the program needs all of them.
	all := dependency{Ref: program.Ref}
	for _, c := range b.Components {
		all.DependsOn = append(all.DependsOn, c.Ref)
	}
	b.Dependencies = []dependency{all}
	return b
}

func (b *bom) add(c component) {
	c.Ref = c.PackageURL
	b.Components = append(b.Components, c)
}

// packageURL follows the type golang of the Package URL specification. Of what may
// be in a version of a module only the plus of +incompatible has to be escaped.
func packageURL(module, version string) string {
	return "pkg:golang/" + module + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// serial is a UUID of version 8 (RFC 9562, section 5.8), so that two documents on the
// same binary are the same document.
func serial(sum [sha256.Size]byte) string {
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
