// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"slices"
	"strings"
)

// extension is one element of Sec-WebSocket-Extensions (RFC 6455 section 9.1).
type extension struct {
	name   string
	params []param
}

// param is one parameter. A parameter without a value is not one with an empty
// value, which the grammar forbids, so an empty value is none.
type param struct {
	name, value string
}

// parseExtensions reads the lines of Sec-WebSocket-Extensions. It reports false
// where they are not what RFC 6455 section 9.1 allows.
func parseExtensions(lines []string) ([]extension, bool) {
	var extensions []extension
	p := scanner{s: strings.Join(lines, ", ")}
	for !p.end() {
		if p.byte(',') {
			continue
		}
		e, ok := p.extension()
		if !ok || !p.end() && !p.byte(',') {
			return nil, false
		}
		extensions = append(extensions, e)
	}
	return extensions, true
}

func (p *scanner) extension() (extension, bool) {
	name, ok := p.token()
	if !ok {
		return extension{}, false
	}
	e := extension{name: name}
	for p.byte(';') {
		name, ok := p.token()
		if !ok {
			return extension{}, false
		}
		var value string
		if p.byte('=') {
			// A quoted value must be a token once its quotes are gone.
			if value, ok = p.value(); !ok || !isToken(value) {
				return extension{}, false
			}
		}
		e.params = append(e.params, param{name: name, value: value})
	}
	return e, true
}

// has reports whether the parameter is there. Names of parameters are compared
// exactly, as RFC 7692 spells them.
func (e extension) has(name string) bool {
	return slices.ContainsFunc(e.params, func(p param) bool { return p.name == name })
}

func formatExtensions(extensions []extension) string {
	var b strings.Builder
	for i, e := range extensions {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.name)
		for _, p := range e.params {
			b.WriteString("; " + p.name)
			if p.value != "" {
				b.WriteString("=" + p.value)
			}
		}
	}
	return b.String()
}
