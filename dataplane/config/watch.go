// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"context"
	"time"

	"github.com/go-logr/logr"
)

// watchEvery is the pause between two looks at a file. Looking at the content
// rather than at names and times sees what editors do by renaming, what a
// volume does by swapping links, and edits within the resolution of a clock.
const watchEvery = 500 * time.Millisecond

// Watch puts each change that the file at path makes to what was read from it in
// force, until ctx ends. A change counts once two looks in a row saw the same
// content, so that a file which is being written is not taken for a short one.
// What is unusable is logged with the field at fault, and the configuration stays;
// what the Store refuses is tried again until the file changes, because what it
// needs may be on its way. taken is called with what was put in force.
func (s *Store) Watch(ctx context.Context, path string, read *File, taken func(*File), logger logr.Logger) {
	w := watch{path: path, settled: read.raw, last: read.raw}
	var next *File // What waits to be put in force.
	var refused string
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		content, changed, err := w.look()
		if err != nil {
			logger.Error(err, "The configuration file cannot be read, the configuration stays", "file", path)
		}
		if changed {
			refused = ""
			if next, err = Parse(content); err != nil {
				logger.Error(err, unusable, "file", path)
				continue
			}
		}
		if next == nil {
			continue
		}
		if err := s.Replace(next.Config); err != nil {
			if err.Error() != refused {
				logger.Error(err, unusable, "file", path)
			}
			refused = err.Error()
			continue
		}
		taken(next)
		next = nil
	}
}

const unusable = "The configuration file is unusable, the configuration stays"

// watch is what was seen of one file.
type watch struct {
	path    string
	settled []byte // What was acted on.
	last    []byte // What the last look saw.
	lost    bool   // The last look saw nothing, and it was said.
}

// look returns the content if it is new and has settled. The error is returned
// once for as long as the file cannot be read.
func (w *watch) look() (content []byte, changed bool, err error) {
	content, err = readFile(w.path)
	if err != nil {
		first := !w.lost
		w.lost = true
		if first {
			return nil, false, err
		}
		return nil, false, nil
	}
	w.lost = false
	stable := bytes.Equal(content, w.last)
	w.last = content
	if !stable || bytes.Equal(content, w.settled) {
		return nil, false, nil
	}
	w.settled = content
	return content, true, nil
}
