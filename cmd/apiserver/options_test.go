// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/wsproxy/wsproxy/cmd/version"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		arguments string
		// refusal is a part of the error; empty: there is none.
		refusal string
	}{
		"nothing":      {"", ""},
		"everything":   {"--kubeconfig=x --client-dir=y --pod-timeout=1s --changes-per-second=0.5 --changes-burst=1 --sends-per-second=0.5 --sends-burst=1 --secure-port=1234 -v=2", ""},
		"an argument":  {"more", `unexpected argument "more"`},
		"no patience":  {"--pod-timeout=0s", "--pod-timeout"},
		"no changes":   {"--changes-per-second=0", "--changes-per-second"},
		"no burst":     {"--changes-burst=0", "--changes-burst"},
		"no sends":     {"--sends-per-second=0", "--sends-per-second"},
		"no sends yet": {"--sends-burst=0", "--sends-burst"},
		"no memory":    {"--list-memory=63Mi", "--list-memory"},
		"some memory":  {"--list-memory=64Mi", ""},
		"fairness":     {"--enable-priority-and-fairness", "not supported"},
		"a wrong port": {"--secure-port=70000", "secure-port"},
		"no such flag": {"--bogus", "unknown flag"},
		"namespaces":   {"--watch-namespaces=a,b --watch-namespaces=c", ""},
		"no name":      {"--watch-namespaces=a,,b", "--watch-namespaces"},
		"no namespace": {"--watch-namespaces=A", "--watch-namespaces"},
		"twice":        {"--watch-namespaces=a,a", "twice"},
		"etcd":         {"--etcd-servers=http://localhost", "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.Fields(c.arguments), io.Discard)
			switch {
			case c.refusal == "" && err != nil:
				t.Error(err)
			case c.refusal != "" && (err == nil || !strings.Contains(err.Error(), c.refusal)):
				t.Errorf("got %v, want %q", err, c.refusal)
			}
		})
	}
}

func TestTheKubeconfigIsForAllThatAsksTheCluster(t *testing.T) {
	o, err := parse([]string{"--kubeconfig=x", "--authorization-kubeconfig=y"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	if o.authentication.RemoteKubeConfigFile != "x" || o.authorization.RemoteKubeConfigFile != "y" {
		t.Errorf("got %q and %q", o.authentication.RemoteKubeConfigFile, o.authorization.RemoteKubeConfigFile)
	}
}

// All namespaces are looked at at once, each by a request of its own, and that must not
// take longer than anybody waits for it.
func TestManyNamespacesCanBeLookedAtAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	const cluster = `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c}}], clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]}`
	if err := os.WriteFile(file, []byte(cluster), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOptions()
	o.kubeconfig = file
	for i := range 400 {
		o.namespaces = append(o.namespaces, fmt.Sprint("shop-", i))
	}
	client, err := o.client()
	if err != nil {
		t.Fatal(err)
	}
	limiter := client.CoreV1().RESTClient().GetRateLimiter()
	for _, namespace := range o.namespaces {
		if !limiter.TryAccept() {
			t.Fatalf("%s has to wait", namespace)
		}
	}
}

func TestVersionNeedsNothingElse(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--version"}, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != version.Line("apiserver")+"\n" {
		t.Errorf("printed %q", out.String())
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	if _, err := parse([]string{"--help"}, io.Discard); !errors.Is(err, pflag.ErrHelp) {
		t.Errorf("got %v", err)
	}
}
