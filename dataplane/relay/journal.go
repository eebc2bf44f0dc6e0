// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// maxJournal bounds the lines that wait to be written. As many may be under way; at
// about 500 bytes each, that is 8 MB where nobody reads what we log.
const maxJournal = 8192

// flushTimeout is how long the end of a process waits for whoever reads the log.
const flushTimeout = 2 * time.Second

// journal writes the log from a goroutine of its own, which runs while there is
// something to write: who serves a thousand connections must not wait until
// somebody reads the log. The zero journal is ready for use.
type journal struct {
	mu sync.Mutex
	// The fields below are guarded by mu.
	lines   []func()
	dropped int
	// ended is closed when the goroutine ends; nil while there is none.
	ended chan struct{}
}

// add has a line written, soon and in its turn; where too many wait it is dropped,
// and that is logged later on.
func (j *journal) add(line func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.lines) >= maxJournal {
		j.dropped++
		return
	}
	j.lines = append(j.lines, line)
	if j.ended == nil {
		j.ended = make(chan struct{})
		go j.run(j.ended)
	}
}

func (j *journal) run(ended chan struct{}) {
	defer close(ended)
	for {
		j.mu.Lock()
		lines := j.lines
		j.lines = nil
		if len(lines) == 0 {
			j.ended = nil
		}
		j.mu.Unlock()
		if len(lines) == 0 {
			return
		}
		for _, line := range lines {
			line()
		}
	}
}

// flush waits until everything so far is written, for a while, and says what is
// missing.
func (j *journal) flush(logger logr.Logger) {
	j.mu.Lock()
	ended := j.ended
	j.mu.Unlock()
	if ended != nil {
		select {
		case <-ended:
		case <-time.After(flushTimeout):
			return // To say so would wait, too.
		}
	}
	j.mu.Lock()
	dropped := j.dropped
	j.dropped = 0
	j.mu.Unlock()
	if dropped > 0 {
		logger.Info(eventLinesDropped, "lines", dropped)
	}
}
