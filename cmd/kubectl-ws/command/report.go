// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/screen"
)

// report says what becomes of each of many connections, how far it has come on a
// terminal, and what it was in the end. Any number of goroutines may use it.
type report struct {
	streams  genericiooptions.IOStreams
	printer  printers.ResourcePrinter
	total    int
	terminal bool

	mu sync.Mutex
	// What follows is guarded by mu while it goes on.
	ended, gone, closing, failed int
	note                         string
	// unprinted: one of those that end could not be printed.
	unprinted bool
}

func newReport(streams genericiooptions.IOStreams, printer printers.ResourcePrinter, total int) *report {
	_, terminal := screen.IsTerminal(streams.ErrOut)
	return &report{streams: streams, printer: printer, total: total, terminal: terminal && total > 1}
}

// done says that a connection ends. The error is one of printing, and has been reported.
func (r *report) done(object *unstructured.Unstructured) (err error) {
	r.step(&r.ended, func() {
		if err = r.printer.PrintObj(object, r.streams.Out); err != nil {
			r.unprinted = true
			fmt.Fprintln(r.streams.ErrOut, explain(err))
		}
	})
	return err
}

// failure says that a connection could not be ended.
func (r *report) failure(err error) {
	r.step(&r.failed, func() { fmt.Fprintln(r.streams.ErrOut, explain(err)) })
}

// hasGone is for one that has ended by itself.
func (r *report) hasGone() { r.step(&r.gone, func() {}) }

// isClosing is for one that somebody else has ended before.
func (r *report) isClosing() { r.step(&r.closing, func() {}) }

// waits says why nothing happens.
func (r *report) waits(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note = fmt.Sprintf(", the server asks to wait for %v", d)
	r.drawLocked()
}

// end leaves a clean line.
func (r *report) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.eraseLocked()
}

func (r *report) step(count *int, say func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*count++
	r.note = ""
	r.eraseLocked()
	say()
	r.drawLocked()
}

func (r *report) eraseLocked() {
	if r.terminal {
		io.WriteString(r.streams.ErrOut, "\r\x1b[K") //nolint:errcheck // A terminal that is gone needs no progress.
	}
}

func (r *report) drawLocked() {
	if r.terminal {
		fmt.Fprintf(r.streams.ErrOut, "\r\x1b[K%d of %d%s", r.total-r.left(), r.total, r.note)
	}
}

// left is how many nobody has asked for, or of which nobody knows what became.
func (r *report) left() int { return r.total - r.ended - r.gone - r.closing - r.failed }

// summary is for the end. verb says what was done.
func (r *report) summary(verb string) string {
	text := fmt.Sprintf("%d of %d connections %s", r.ended, r.total, verb)
	for _, other := range []struct {
		count int
		what  string
	}{{r.closing, "were closing already"}, {r.gone, "had ended by themselves"}, {r.failed, "failed"}, {r.left(), "left as they were, or nobody knows"}} {
		if other.count > 0 {
			text += fmt.Sprintf(", %d %s", other.count, other.what)
		}
	}
	return text
}
