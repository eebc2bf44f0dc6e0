// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"slices"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

func TestWhoLogsDoesNotWaitForTheLog(t *testing.T) {
	var j journal
	begun, stuck, got := make(chan struct{}), make(chan struct{}), []int{}
	j.add(func() { close(begun); <-stuck })
	<-begun // Else it might wait together with the others, and take the place of one.
	for i := range 3 * maxJournal {
		j.add(func() { got = append(got, i) })
	}
	close(stuck)
	var last string
	j.flush(funcr.New(func(_, args string) { last = args }, funcr.Options{}))
	if len(got) < maxJournal || len(got) == 3*maxJournal || !slices.IsSorted(got) {
		t.Errorf("%d lines were written, in order: %v", len(got), slices.IsSorted(got))
	}
	if last == "" {
		t.Error("nobody is told that lines were dropped")
	}
	// It goes on after it was empty.
	j.add(func() { got = nil })
	j.flush(logr.Discard())
	if got != nil {
		t.Error("a later line was not written")
	}
}
