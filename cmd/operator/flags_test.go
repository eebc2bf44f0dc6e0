// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/cmd/version"
)

func TestParse(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	for name, c := range map[string]struct {
		arguments string
		// refusal is a part of the error; empty: there is none.
		refusal string
	}{
		"enough":              {"--dataplane-image=x --namespace=n", ""},
		"no image":            {"--namespace=n", "--dataplane-image is required"},
		"no namespace":        {"--dataplane-image=x", "--namespace is required"},
		"an argument":         {"--dataplane-image=x --namespace=n more", `unexpected argument "more"`},
		"a short authority":   {"--dataplane-image=x --namespace=n --ca-validity=3h --ca-overlap=30m", "--ca-validity"},
		"a long overlap":      {"--dataplane-image=x --namespace=n --ca-validity=195m --ca-overlap=30m", ""},
		"no certificate life": {"--dataplane-image=x --namespace=n --certificate-validity=0s", "--certificate-validity"},
		"a bad default class": {`--dataplane-image=x --namespace=n --default-class={"setting":{}}`, `unknown field "setting"`},
		"no proxy at a time":  {"--dataplane-image=x --namespace=n --max-concurrent-proxies=0", "--max-concurrent-proxies"},
		"namespaces":          {"--dataplane-image=x --namespace=n --watch-namespaces=a,b", ""},
		"no namespaces":       {"--dataplane-image=x --namespace=n --watch-namespaces=", ""},
		"no name":             {"--dataplane-image=x --namespace=n --watch-namespaces=a,,b", "is no name of a namespace"},
		"a namespace twice":   {"--dataplane-image=x --namespace=n --watch-namespaces=a,b,a", `"a" is there twice`},
		"somebody's CA":       {"--dataplane-image=x --namespace=n --authority-secret=corporate", ""},
		"its own CA":          {"--dataplane-image=x --namespace=n --authority-secret=wsproxy-ca", "--authority-secret"},
		"its own certificate": {"--dataplane-image=x --namespace=n --authority-secret=wsproxy-apiserver-tls", "--authority-secret"},
		"no such flag":        {"--bogus", "not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.Fields(c.arguments))
			switch {
			case c.refusal == "" && err != nil:
				t.Error(err)
			case c.refusal != "" && (err == nil || !strings.Contains(err.Error(), c.refusal)):
				t.Errorf("got %v, want %q", err, c.refusal)
			}
		})
	}
}

func TestTheNamespaceComesFromTheEnvironment(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "wsproxy-system")
	f, err := parse([]string{"--dataplane-image=x", "--ca-overlap=1h"})
	if err != nil {
		t.Fatal(err)
	}
	if f.namespace != "wsproxy-system" || f.certificates.Overlap != time.Hour || !f.leaderElect {
		t.Errorf("got %+v", f)
	}
}

func TestVersionNeedsNothingElse(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--version"}, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != version.Line("operator")+"\n" {
		t.Errorf("printed %q", out.String())
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	if _, err := parse([]string{"--help"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v", err)
	}
}
