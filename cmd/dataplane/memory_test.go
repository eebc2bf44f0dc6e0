// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestReconnectMemoryIsAQuarterOfTheContainersLimitAtMost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "memory.max")
	if got := defaultReconnectMemory(file); got != 256<<20 {
		t.Errorf("%d without a limit", got)
	}
	for text, want := range map[string]int64{"max\n": 256 << 20, "134217728\n": 32 << 20, "107374182400\n": 256 << 20} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := defaultReconnectMemory(file); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestReconnectMemoryIsAQuantity(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "4096": 4096, "64Mi": 64 << 20, "1.5Gi": 3 << 29} {
		o, err := parse([]string{"--config=x", "--reconnect-memory=" + text}, nowhere, io.Discard)
		if err != nil || o.reconnectMemory != want {
			t.Errorf("%s: %d, %v, want %d", text, o.reconnectMemory, err, want)
		}
	}
	for _, text := range []string{"", "much", "-1", "-64Mi"} {
		if _, err := parse([]string{"--config=x", "--reconnect-memory=" + text}, nowhere, io.Discard); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
