// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net/http"
	"sync"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// unopenedEvery is the least time between two lines of the log about handshakes
// that failed for the same reason. Whoever likes can have us refuse as many as he
// can send, and a client that is misconfigured does so without knowing.
const unopenedEvery = 10 * time.Second

// accepted tells the metrics of a client that got its 101.
func (c *conn) accepted() {
	c.server.Metrics.Handshake(http.StatusSwitchingProtocols, string(handshake.ReasonAccepted))
	c.answered(http.StatusSwitchingProtocols, handshake.ReasonAccepted)
}

// notOpened tells metrics and log of a handshake that opened no connection. Where
// the log is to have everything, it has a line for each.
func (s *Server) notOpened(code int, reason handshake.Reason, fields ...any) {
	s.Metrics.Handshake(code, string(reason))
	fields = append([]any{"reason", reason, "code", code}, fields...)
	switch debug := s.Logger.V(1); {
	case debug.Enabled():
		s.journal.add(func() { debug.Info(eventNotOpened, fields...) })
	case s.Logger.Enabled():
		s.unopened.add(reason, fields)
	}
}

// notOpened is that for a client that was admitted.
func (c *conn) notOpened(code int, reason handshake.Reason, fields ...any) {
	c.answered(code, reason)
	c.server.notOpened(code, reason, append([]any{"connection", c.id().Name(), "client", c.client.String(), "path", c.path}, fields...)...)
}

// unopened puts handshakes that failed into the log: the first one for each reason
// at once, and those that follow as one line with their number, as often as that
// is allowed.
type unopened struct {
	// write puts a line into the log and does not wait for that.
	write func(message string, fields []any)

	mu sync.Mutex
	// The fields below are guarded by mu.
	windows map[handshake.Reason]*window
	closed  bool
}

// window is the time in which there is no other line about a reason.
type window struct {
	over *time.Timer
	// more are those that came since the last line, and last has the fields of the
	// last of them.
	more int
	last []any
}

func (u *unopened) add(reason handshake.Reason, fields []any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if w := u.windows[reason]; w != nil {
		w.more, w.last = w.more+1, fields
		return
	}
	u.write(eventNotOpened, fields)
	if u.closed {
		return
	}
	if u.windows == nil {
		u.windows = map[handshake.Reason]*window{}
	}
	u.windows[reason] = &window{over: time.AfterFunc(unopenedEvery, func() { u.next(reason) })}
}

// next ends a window, and begins another one where there was something to say.
func (u *unopened) next(reason handshake.Reason) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.windows[reason]
	switch {
	case w == nil: // It was closed.
	case w.more == 0:
		delete(u.windows, reason)
	default:
		u.summarizeLocked(w)
		w.over.Reset(unopenedEvery)
	}
}

func (u *unopened) summarizeLocked(w *window) {
	u.write(eventMoreNotOpened, append(w.last, "count", w.more, "seconds", unopenedEvery.Seconds()))
	w.more, w.last = 0, nil
}

// close says what has not been said yet. What comes later is few, and said at
// once.
func (u *unopened) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, w := range u.windows {
		w.over.Stop()
		if w.more > 0 {
			u.summarizeLocked(w)
		}
	}
	u.windows, u.closed = nil, true
}
