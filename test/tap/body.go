// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package tap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// body is what a server says, and reads along where that are the events of a watch.
type body struct {
	io.ReadCloser
	tap     *Tap
	cut     context.CancelFunc
	watches bool
	// resumable says that the informer knows a version to go on from.
	resumable bool
	// line is the event that is on its way.
	line []byte

	mu sync.Mutex
	// due, guarded by mu, cuts the watch; nil: nobody does.
	due *time.Timer
	// closed says that the informer has had enough.
	closed bool
}

// cutSoon cuts the watch when its time has come.
func (b *body) cutSoon() {
	after := b.tap.lifetime()
	b.mu.Lock()
	defer b.mu.Unlock()
	if after > 0 && b.due == nil && !b.closed {
		b.due = time.AfterFunc(after, func() {
			b.tap.wasCut()
			b.cut()
		})
	}
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.mu.Lock()
	if b.closed = true; b.due != nil {
		b.due.Stop()
	}
	b.mu.Unlock()
	b.cut()
	return b.ReadCloser.Close()
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if !b.watches {
		return n, err
	}
	b.hear(p[:n])
	if err == nil {
		return n, nil
	}
	if !b.resumable {
		b.tap.because("a watch that ended before all was said", true)
	}
	if !errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // That is what a server that is gone looks like.
	}
	return n, err
}

var code = regexp.MustCompile(`"code":(\d+)`)

// hear takes what was read. Each event is a line.
func (b *body) hear(p []byte) {
	for len(p) > 0 {
		part, rest, ended := bytes.Cut(p, []byte("\n"))
		b.line, p = append(b.line, part...), rest
		if !ended {
			return
		}
		switch {
		case bytes.HasPrefix(b.line, []byte(`{"type":"ERROR"`)):
			found := code.FindSubmatch(b.line)
			if found == nil {
				found = [][]byte{nil, b.line}
			}
			b.tap.because(string(found[1]), !b.resumable)
		case bytes.HasPrefix(b.line, []byte(`{"type":"BOOKMARK"`)) && bytes.Contains(b.line, []byte(metav1.InitialEventsAnnotationKey)):
			b.resumable = true
			b.cutSoon()
		}
		b.line = b.line[:0]
	}
}
