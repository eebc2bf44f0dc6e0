// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
)

// Variant is ours with other flags, another environment or another program: a
// driver that is not the default, or the program of an earlier commit.
type Variant struct {
	Name    string
	Program string // empty: that of Programs
	Env     []string
	Args    []string
}

var (
	variantName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	assignment  = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*=`)
)

// ParseVariant reads "NAME=WORD…": words that begin with @ are the path of another
// program, words like GOGC=50 are environment, the others are flags.
func ParseVariant(text string) (Variant, error) {
	name, words, found := strings.Cut(text, "=")
	if !found || !variantName.MatchString(name) {
		return Variant{}, fmt.Errorf("%q: a variant is NAME=WORD…, and a name is made of small letters, digits and dashes", text)
	}
	v := Variant{Name: name}
	for _, word := range strings.Fields(words) {
		program, other := strings.CutPrefix(word, "@")
		switch {
		case other:
			v.Program = program
		case assignment.MatchString(word):
			v.Env = append(v.Env, word)
		default:
			v.Args = append(v.Args, word)
		}
	}
	if v.Program == "" && v.Env == nil && v.Args == nil {
		return Variant{}, fmt.Errorf("%q is no different from ours", text)
	}
	return v, nil
}

// ours are the data plane and its variants, each of every kind.
func ours(p Programs, variants []Variant) []*Peer {
	var all []*Peer
	for _, v := range append([]Variant{{}}, variants...) {
		name, title := "ours", "wsproxy"
		if v.Name != "" {
			name, title = v.Name, "wsproxy, "+v.Name
		}
		if v.Program == "" {
			v.Program = p.Dataplane
		}
		all = append(all,
			&Peer{Name: name, Title: title, Ours: true, Program: v.Program, Env: v.Env, configure: v.configure(Plain)},
			&Peer{Name: name + "-tls", Title: title + ", wss to ws", Ours: true, Kind: TLS, Program: v.Program, Env: v.Env, configure: v.configure(TLS)},
			&Peer{Name: name + "-kept", Title: title + " with autoReconnect", Ours: true, Kind: Kept, Program: v.Program, Env: v.Env, configure: v.configure(Kept)},
		)
	}
	return all
}

func (v Variant) configure(kind Kind) func(Place) ([]string, error) {
	return func(at Place) ([]string, error) {
		path, err := write(at, "proxy.yaml", map[string]any{"TLS": kind == TLS, "AutoReconnect": kind == Kept})
		if err != nil {
			return nil, err
		}
		args := []string{
			"--config", path, "--listen-address", net.JoinHostPort(at.Host, strconv.Itoa(at.Port)),
			"--control-address", net.JoinHostPort(at.Host, "0"), "--metrics-address", net.JoinHostPort(at.Host, "0"),
			// The others log nothing per connection either.
			"--log-level", "error",
		}
		if kind == TLS {
			args = append(args, "--tls-cert-file", at.Cert, "--tls-key-file", at.Key)
		}
		return append(args, v.Args...), nil
	}
}
