// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"io"
	"slices"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/rest"
)

// warnings are what the server says besides its answers. They are printed at once, each
// one once, or, while a terminal is drawn on, held back to be drawn with the rest.
type warnings struct {
	rest.WarningHandler
	hold bool
	held []string
}

func newWarnings(out io.Writer, terminal bool) *warnings {
	return &warnings{WarningHandler: rest.NewWarningWriter(out, rest.WarningWriterOptions{Deduplicate: true, Color: terminal})}
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(code int, agent, text string) {
	if !w.hold {
		w.WarningHandler.HandleWarningHeader(code, agent, text)
		return
	}
	// 299 is the code of all warnings of Kubernetes (KEP-1693).
	if code == 299 && text != "" && !slices.Contains(w.held, text) {
		w.held = append(w.held, text)
	}
}

// lines returns what was held back since the last call, a line each.
func (w *warnings) lines() string {
	var text strings.Builder
	for _, warning := range w.held {
		text.WriteString("Warning: " + printers.EscapeTerminal(warning) + "\n")
	}
	w.held = nil
	return text.String()
}
