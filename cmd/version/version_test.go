// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package version

import (
	"regexp"
	"runtime/debug"
	"testing"
)

func TestWhatTheLinkerWasToldComesFirst(t *testing.T) {
	checkout := &debug.BuildInfo{
		Main:     debug.Module{Version: "v0.0.0-20261122000000-abcdef012345"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abcdef"}, {Key: "vcs.modified", Value: "false"}},
	}
	for name, test := range map[string]struct {
		linked stamp
		info   *debug.BuildInfo
		want   stamp
	}{
		"a release":                  {stamp{"v0.1.0", "0123"}, checkout, stamp{"v0.1.0", "0123"}},
		"go build within a checkout": {stamp{}, checkout, stamp{"v0.0.0-20261122000000-abcdef012345", "abcdef"}},
		"changed files": {stamp{}, &debug.BuildInfo{
			Main:     debug.Module{Version: "(devel)"},
			Settings: []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: "abcdef"}},
		}, stamp{"dev", "abcdef-dirty"}},
		"go install":              {stamp{}, &debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}}, stamp{"v0.1.0", "unknown"}},
		"without version control": {stamp{}, &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, stamp{"dev", "unknown"}},
		"nothing known":           {stamp{}, nil, stamp{"dev", "unknown"}},
	} {
		if got := stampOf(test.linked, test.info); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestTheLineSaysProgramVersionCommitGoAndPlatform(t *testing.T) {
	if got := Line("operator"); !regexp.MustCompile(`^operator \S+ \(commit \S+, go1\.\S+, [a-z]+/[a-z0-9]+\)$`).MatchString(got) {
		t.Error(got)
	}
	if Number() == "" {
		t.Error("no version")
	}
}
