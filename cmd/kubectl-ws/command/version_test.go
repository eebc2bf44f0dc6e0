// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"testing"

	"github.com/wsproxy/wsproxy/cmd/version"
)

func TestVersionIsSaidInTheWordsOfTheOtherPrograms(t *testing.T) {
	r := newRoom(t)
	for _, argument := range []string{"version", "--version"} {
		if got, want := r.must(argument), version.Line("kubectl-ws")+"\n"; got != want {
			t.Errorf("%s: %q, want %q", argument, got, want)
		}
	}
	if len(r.asked) > 0 {
		t.Errorf("the cluster was asked for %q", r.asked)
	}
}
