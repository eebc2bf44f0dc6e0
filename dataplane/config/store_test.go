// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-logr/logr"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

// at returns a snapshot of a version that can be told by its retries.
func at(version uint64, retries int32) *dataplanev1alpha1.Snapshot {
	s := snapshot()
	s.Version, s.Settings.MaxRetries = version, retries
	return s
}

// named gives a snapshot a digest.
func named(s *dataplanev1alpha1.Snapshot, digest string) *dataplanev1alpha1.Snapshot {
	s.Digest = []byte(digest)
	return s
}

func TestTheSameVersionWithAnotherContentIsRefused(t *testing.T) {
	state := t.TempDir()
	store := config.NewStore(start(t, mounted(t, 1), state), state)
	if _, err := store.Apply(named(at(100, 1), "one")); err != nil {
		t.Fatal(err)
	}
	// What is kept says it too.
	for _, store := range []*config.Store{store, config.NewStore(start(t, mounted(t, 1), state), state)} {
		if _, err := store.Apply(named(at(100, 9), "nine")); !errors.Is(err, config.ErrOtherContent) {
			t.Errorf("another content: %v", err)
		}
		for name, same := range map[string]*dataplanev1alpha1.Snapshot{"the same content": named(at(100, 1), "one"), "by a version without digests": at(100, 1)} {
			if _, err := store.Apply(same); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := store.Current(); got.MaxRetries != 1 || string(got.Snapshot.GetDigest()) != "one" {
			t.Errorf("maxRetries %d with digest %q in force", got.MaxRetries, got.Snapshot.GetDigest())
		}
	}
}

func TestApplyKeepsTheVersionRules(t *testing.T) {
	other := at(200, 9)
	other.Proxy = "feed"
	foreign := at(200, 9)
	foreign.Namespace = "bank"
	invalid := at(200, 101)
	for _, test := range []struct {
		name        string
		inForce     uint64
		apply       *dataplanev1alpha1.Snapshot
		wantErr     error
		wantVersion uint64
		wantRetries int
	}{
		{"a higher version", 100, at(101, 9), nil, 101, 9},
		{"the same version", 100, at(100, 9), nil, 100, 1},
		{"a lower version", 100, at(99, 9), config.ErrStale, 100, 1},
		{"no version over one", 100, at(0, 9), config.ErrStale, 100, 1},
		{"any version over none", 0, at(5, 9), nil, 5, 9},
		{"no version over none", 0, at(0, 9), nil, 0, 9},
		{"another proxy", 100, other, config.ErrOtherProxy, 100, 1},
		{"another namespace", 0, foreign, config.ErrOtherProxy, 0, 1},
		{"an unusable snapshot", 100, invalid, config.ErrInvalid, 100, 1},
		{"no snapshot", 100, nil, config.ErrOtherProxy, 100, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := config.NewStore(mustCompile(t, at(test.inForce, 1)), t.TempDir())
			changes := 0
			store.OnChange(func(_, _ *config.Config) { changes++ })
			version, err := store.Apply(test.apply)
			if !errors.Is(err, test.wantErr) {
				t.Fatalf("Apply: %v, want %v", err, test.wantErr)
			}
			if version != test.wantVersion || store.Current().Snapshot.GetVersion() != test.wantVersion {
				t.Errorf("answered %d with %d in force, want %d", version, store.Current().Snapshot.GetVersion(), test.wantVersion)
			}
			if got := store.Current().MaxRetries; got != test.wantRetries {
				t.Errorf("maxRetries %d in force, want %d", got, test.wantRetries)
			}
			if changed := test.wantRetries != 1; changed != (changes == 1) {
				t.Errorf("%d changes were told", changes)
			}
		})
	}
}

func TestChangesAreToldInOrderWithOldAndNew(t *testing.T) {
	store := config.NewStore(mustCompile(t, at(1, 1)), "")
	last := store.Current()
	told := 0
	store.OnChange(func(old, now *config.Config) {
		if old != last {
			t.Errorf("told of a change from version %d after one to %d", old.Snapshot.GetVersion(), last.Snapshot.GetVersion())
		}
		last = now
		told++
	})
	var pushers sync.WaitGroup
	for version := uint64(2); version <= 50; version++ {
		pushers.Go(func() {
			if _, err := store.Apply(at(version, 1)); err != nil && !errors.Is(err, config.ErrStale) {
				t.Errorf("Apply(%d): %v", version, err)
			}
		})
	}
	pushers.Wait()
	if last != store.Current() || last.Snapshot.GetVersion() != 50 || told == 0 {
		t.Errorf("after %d changes the last one told is to %d, in force is %d", told, last.Snapshot.GetVersion(), store.Current().Snapshot.GetVersion())
	}
}

// mounted writes the ConfigMap of a pod: version 0, as the operator writes it.
func mounted(t *testing.T, retries int32) string {
	t.Helper()
	raw, err := dataplanev1alpha1.MarshalSnapshot(at(0, retries))
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(t.TempDir(), "snapshot.json"), string(raw))
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func start(t *testing.T, file, state string) *config.Config {
	t.Helper()
	f, err := config.Start(file, state, logr.Discard())
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return f.Config
}

func TestARestartGoesOnWithWhatWasAcceptedLast(t *testing.T) {
	file, state := mounted(t, 1), t.TempDir()
	store := config.NewStore(start(t, file, state), state)
	for version := uint64(7); version <= 9; version++ {
		if _, err := store.Apply(at(version, int32(version))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Apply(at(8, 50)); !errors.Is(err, config.ErrStale) {
		t.Fatalf("a lower version: %v", err)
	}

	restarted := config.NewStore(start(t, file, state), state)
	if got := restarted.Current(); got.Snapshot.GetVersion() != 9 || got.MaxRetries != 9 {
		t.Errorf("restarted with version %d and maxRetries %d, want 9 and 9", got.Snapshot.GetVersion(), got.MaxRetries)
	}
	if _, err := restarted.Apply(at(8, 50)); !errors.Is(err, config.ErrStale) {
		t.Errorf("a lower version after the restart: %v", err)
	}
}

func TestStartWithoutAUsableKeptSnapshotTakesTheFile(t *testing.T) {
	other := at(9, 9)
	other.Proxy = "feed"
	whole := encode(t, at(9, 9))
	for name, kept := range map[string]string{
		"empty":           "",
		"half written":    whole[:len(whole)/2],
		"out of range":    encode(t, &dataplanev1alpha1.Snapshot{Version: 9, Namespace: "shop", Proxy: "chat"}),
		"of another":      encode(t, other),
		"text":            `{"namespace":"shop","proxy":"chat"}`,
		"binary nonsense": "\x00\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			write(t, filepath.Join(state, dataplanev1alpha1.KeptFile), kept)
			if got := start(t, mounted(t, 3), state); got.MaxRetries != 3 {
				t.Errorf("started with maxRetries %d, want the file's 3", got.MaxRetries)
			}
		})
	}
}

func TestStartWithoutAUsableFileTakesTheKeptSnapshot(t *testing.T) {
	state := t.TempDir()
	store := config.NewStore(start(t, mounted(t, 1), ""), state)
	if _, err := store.Apply(at(9, 9)); err != nil {
		t.Fatal(err)
	}
	if got := start(t, filepath.Join(state, "absent"), state); got.MaxRetries != 9 {
		t.Errorf("started with maxRetries %d, want 9", got.MaxRetries)
	}
	if _, err := config.Start(filepath.Join(state, "absent"), t.TempDir(), logr.Discard()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("neither file nor kept snapshot: %v", err)
	}
}

func TestWhatCannotBeKeptIsNotPutInForce(t *testing.T) {
	store := config.NewStore(mustCompile(t, at(1, 1)), filepath.Join(t.TempDir(), "absent"))
	store.OnChange(func(_, _ *config.Config) { t.Error("a change was told") })
	version, err := store.Apply(at(2, 2))
	if err == nil || version != 1 || store.Current().MaxRetries != 1 {
		t.Errorf("Apply answered %d, %v with maxRetries %d in force", version, err, store.Current().MaxRetries)
	}
}

func TestAnUnfinishedWriteIsNotTakenForTheSnapshot(t *testing.T) {
	file, state := mounted(t, 1), t.TempDir()
	store := config.NewStore(start(t, file, state), state)
	if _, err := store.Apply(at(9, 9)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(state, dataplanev1alpha1.KeptFile+".tmp"), `{"half`)
	if got := start(t, file, state); got.MaxRetries != 9 {
		t.Errorf("started with maxRetries %d, want 9", got.MaxRetries)
	}
	if _, err := store.Apply(at(10, 10)); err != nil {
		t.Fatal(err)
	}
	if got := start(t, file, state); got.MaxRetries != 10 {
		t.Errorf("started with maxRetries %d, want 10", got.MaxRetries)
	}
}
