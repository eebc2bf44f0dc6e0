// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wsproxy/wsproxy/hack/bench/native"
	"github.com/wsproxy/wsproxy/hack/bench/peers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tiny is as small as a measurement can be.
func tiny() Scale {
	return Scale{
		Window: 50 * time.Millisecond, Idle: 40, Stalled: 5, Silent: 5, TLS: 5, SilentWindow: 50 * time.Millisecond,
		Settle: 200 * time.Millisecond, Rate: 500,
	}
}

// TestAMeasurementGivesEveryRow runs a case of every kind with the floor, and
// with nginx where the floor cannot do it. The values mean nothing here.
func TestAMeasurementGivesEveryRow(t *testing.T) {
	if _, err := native.Compiler(); err != nil {
		t.Skip(err)
	}
	programs, err := native.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &Bench{Scale: tiny(), Programs: programs, Dir: t.TempDir(), Workers: 2}
	byName := map[string]*peers.Peer{}
	for _, p := range peers.All(peers.Programs{Relay: programs.Relay}, nil) {
		byName[p.Name] = p
	}
	for _, c := range All() {
		if !c.Matches([]string{"roundtrip-100-128", "flood-down-64", "flood-up-64", "handshake", "latency", "idle", "stalled", "tls"}) {
			continue // It differs from one of these by a number, or needs our program.
		}
		name := "floor"
		if !c.Applies(byName[name]) {
			name = "nginx-tls"
		}
		t.Run(c.Name+" "+name, func(t *testing.T) {
			if err := byName[name].Missing(); err != nil {
				t.Skip(err)
			}
			samples, err := b.Measure(t.Context(), c, byName[name])
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]float64{}
			for _, sample := range samples {
				if sample.Peer != name {
					t.Errorf("a sample of %q", sample.Peer)
				}
				found[sample.Row] = sample.Value
			}
			for _, row := range c.Rows {
				// Memory so little may go unseen, or be given back meanwhile.
				if value, there := found[row.ID]; !there || value <= 0 && row.Unit != "B" {
					t.Errorf("%s: %v, %v", row.ID, value, there)
				}
			}
		})
	}
	if left, err := os.ReadDir(b.Dir); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

func TestAMeasurementThatFailsLeavesItsLogs(t *testing.T) {
	if _, err := native.Compiler(); err != nil {
		t.Skip(err)
	}
	no, err := exec.LookPath("false")
	if err != nil {
		t.Skip(err)
	}
	programs, err := native.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &Bench{Scale: tiny(), Programs: programs, Dir: t.TempDir(), Workers: 2}
	for _, p := range peers.All(peers.Programs{Relay: no}, nil) {
		if p.Name != "floor" {
			continue
		}
		if _, err := b.Measure(t.Context(), All()[0], p); err == nil {
			t.Error("a peer that does not start was measured")
		}
	}
	if logs, err := filepath.Glob(filepath.Join(b.Dir, "*", "peer", "log")); err != nil || len(logs) != 1 {
		t.Errorf("logs %v, %v", logs, err)
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		for _, row := range c.Rows {
			if seen[row.ID] {
				t.Errorf("%s is there twice", row.ID)
			}
			seen[row.ID] = true
		}
	}
}
