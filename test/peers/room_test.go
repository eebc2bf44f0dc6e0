// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package peers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds waits for what must happen; it is never what a test measures.
const patience = 60 * time.Second

// program is one that runs until its test ends.
type program struct {
	name string
	mu   sync.Mutex
	said []string // guarded by mu
}

// start runs a program whose lines a test may wait for.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "PYTHONUTF8=1")
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{name: filepath.Base(name)}
	var read sync.WaitGroup
	read.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.said = append(p.said, lines.Text())
			p.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // It is killed.
		_ = in.Close()
		read.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", p.name, strings.Join(p.lines(""), "\n"))
		}
	})
	return p
}

// lines returns the lines so far that begin with a prefix.
func (p *program) lines(prefix string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.said), func(line string) bool { return !strings.HasPrefix(line, prefix) })
}

// await waits until there are so many lines with a prefix.
func (p *program) await(t *testing.T, prefix string, n int) []string {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		lines := p.lines(prefix)
		if len(lines) >= n {
			return lines
		}
		if time.Now().After(end) {
			t.Fatalf("%s said %q, want %d lines with %q", p.name, lines, n, prefix)
		}
	}
}

// free returns an address of loopback that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// listening waits until somebody listens at an address.
func listening(t *testing.T, address string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// proxied runs the data plane in front of an upstream, and returns the address
// for clients.
func proxied(t *testing.T, upstream string) string {
	t.Helper()
	manifest := filepath.Join(t.TempDir(), "proxy.yaml")
	text := fmt.Sprintf("apiVersion: wsproxy.io/v1alpha1\nkind: WebSocketProxy\nmetadata: {name: peers}\nspec:\n  upstream: {url: \"ws://%s\"}\n", upstream)
	if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := free(t)
	start(t, os.Getenv("DATAPLANE"), "--config", manifest, "--listen-address", address,
		"--control-address", free(t), "--metrics-address", free(t), "--log-format", "text")
	listening(t, address)
	return address
}
