// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// checkEvery is how long an answer is given without a look at the files: looking
// costs a few system calls, and a renewed certificate is in no hurry.
const checkEvery = time.Second

// files are read together into a T, again when one of them changed.
type files[T any] struct {
	paths  []string
	read   func() (T, error)
	logger logr.Logger

	mu sync.Mutex
	// The fields below are guarded by mu.
	checked time.Time
	seen    []os.FileInfo // As they were before they were read last; nil where absent.
	value   T
	// err is why there is no value; once there is one it stays nil.
	err  error
	have bool
}

// current returns what the files hold. The error says why they never could be
// read.
func (f *files[T]) current() (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.checked.IsZero() || now.Sub(f.checked) >= checkEvery {
		f.checked = now
		f.checkLocked()
	}
	return f.value, f.err
}

// checkLocked looks at the files before it reads them: when one is replaced in
// between, the next look sees a difference and reads again. So a pair that was
// read half old and half new puts itself right.
func (f *files[T]) checkLocked() {
	looked := make([]os.FileInfo, len(f.paths))
	for i, path := range f.paths {
		looked[i], _ = os.Stat(path) // A file that cannot be seen is one that read complains about.
	}
	if f.seen != nil && unchanged(f.seen, looked) {
		return
	}
	f.seen = looked
	value, err := f.read()
	switch {
	case err == nil:
		if f.have {
			f.logger.Info("Certificates reloaded", "files", strings.Join(f.paths, ", "))
		}
		f.value, f.err, f.have = value, nil, true
	case f.have:
		f.logger.Error(err, "Certificates cannot be reloaded, the old ones stay in use", "files", strings.Join(f.paths, ", "))
	default:
		f.err = err
	}
}

func unchanged(old, now []os.FileInfo) bool {
	for i := range old {
		if (old[i] == nil) != (now[i] == nil) {
			return false
		}
		if old[i] != nil && (!os.SameFile(old[i], now[i]) || !old[i].ModTime().Equal(now[i].ModTime()) || old[i].Size() != now[i].Size()) {
			return false
		}
	}
	return true
}
