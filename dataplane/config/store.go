// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Why a snapshot that may be in order is not put in force.
var (
	// ErrStale says that a higher version is in force.
	ErrStale = errors.New("a higher version is in force")
	// ErrOtherContent says that the version in force has another content: the
	// cluster that numbers them went back in time.
	ErrOtherContent = errors.New("the same version is in force with another content")
	// ErrOtherProxy says that the snapshot is of another proxy.
	ErrOtherProxy = errors.New("the snapshot is of another proxy")
)

// Store holds the configuration in force. Any number of goroutines may use it.
type Store struct {
	stateDir string
	current  atomic.Pointer[Config]

	// mu makes changes wait for each other, so that subscribers and the state
	// directory see them in their order.
	mu sync.Mutex
	// The fields below are guarded by mu.
	subscribers []func(before, after *Config)
	require     func(*Config) error
}

// NewStore returns a store with the initial configuration in force. What is
// applied later is kept in stateDir; empty: nowhere.
func NewStore(initial *Config, stateDir string) *Store {
	s := &Store{stateDir: stateDir}
	s.current.Store(initial)
	return s
}

// Current returns the configuration in force. Take it once per decision: the
// next call may return another one.
func (s *Store) Current() *Config { return s.current.Load() }

// OnChange has f called after each change, one at a time and in their order,
// before the change is acknowledged: f should be quick, and must not change the
// configuration itself.
func (s *Store) OnChange(f func(before, after *Config)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers = append(s.subscribers, f)
}

// Require has f asked before each change whether there is what the configuration
// needs besides itself. Its error refuses the change, as an ErrInvalid.
func (s *Store) Require(f func(next *Config) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.require = f
}

// Apply puts a pushed snapshot in force and returns the version that is in force
// afterwards, also with an error. The same version again changes nothing; where
// the version in force is 0, it came from a file and anything replaces it.
//
// Errors: ErrStale, ErrOtherContent, ErrOtherProxy, ErrInvalid; any other one says that the
// snapshot could not be kept in the state directory. After an error nothing has
// changed.
func (s *Store) Apply(snapshot *dataplanev1alpha1.Snapshot) (version uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.Current()
	inForce := old.Snapshot
	if snapshot.GetProxy() != inForce.GetProxy() || snapshot.GetNamespace() != inForce.GetNamespace() {
		return inForce.GetVersion(), fmt.Errorf("%w: it is of %q, this pod serves %q", ErrOtherProxy, proxyName(snapshot), proxyName(inForce))
	}
	if inForce.GetVersion() != 0 {
		switch {
		case snapshot.GetVersion() < inForce.GetVersion():
			return inForce.GetVersion(), fmt.Errorf("%w: %d is lower than %d", ErrStale, snapshot.GetVersion(), inForce.GetVersion())
		case snapshot.GetVersion() == inForce.GetVersion() && differ(snapshot.GetDigest(), inForce.GetDigest()):
			return inForce.GetVersion(), fmt.Errorf("%w: %d", ErrOtherContent, inForce.GetVersion())
		case snapshot.GetVersion() == inForce.GetVersion():
			return inForce.GetVersion(), nil
		}
	}
	next, err := Compile(snapshot)
	if err == nil {
		err = s.usableLocked(next)
	}
	if err != nil {
		return inForce.GetVersion(), err
	}
	if s.stateDir != "" {
		if err := persist(s.stateDir, next.Snapshot); err != nil {
			return inForce.GetVersion(), err
		}
	}
	s.swapLocked(old, next)
	return next.Snapshot.GetVersion(), nil
}

// Replace puts a configuration in force that came from a file: whatever the
// versions are, and without keeping it, because the file does. Errors: ErrInvalid,
// and ErrOtherProxy: a process serves one proxy from its start to its end.
func (s *Store) Replace(next *Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.Current()
	if proxyName(next.Snapshot) != proxyName(old.Snapshot) {
		return fmt.Errorf("%w: it is of %q, this process serves %q", ErrOtherProxy, proxyName(next.Snapshot), proxyName(old.Snapshot))
	}
	if err := s.usableLocked(next); err != nil {
		return err
	}
	s.swapLocked(old, next)
	return nil
}

func (s *Store) usableLocked(next *Config) error {
	if s.require == nil {
		return nil
	}
	if err := s.require(next); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

func (s *Store) swapLocked(old, next *Config) {
	s.current.Store(next)
	for _, f := range s.subscribers {
		f(old, next)
	}
}

// differ says whether two digests are of different contents; who has none says
// nothing of that.
func differ(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && !bytes.Equal(a, b) }

func proxyName(s *dataplanev1alpha1.Snapshot) string {
	return s.GetNamespace() + "/" + s.GetProxy()
}
