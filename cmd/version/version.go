// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// The linker sets these: hack/images and `make plugin` name them in -X.
var (
	number string
	commit string
)

// Number returns the version, such as "v0.1.0"; "dev" for a program whose builder
// did not say.
func Number() string { return stamped().number }

// Line returns what --version prints of a program:
//
//	operator v0.1.0 (commit 0123456789abcdef0123456789abcdef01234567, go1.26.8, linux/amd64)
func Line(program string) string {
	s := stamped()
	return fmt.Sprintf("%s %s (commit %s, %s, %s/%s)", program, s.number, s.commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// stamp is what a program knows of where it comes from.
type stamp struct{ number, commit string }

var stamped = sync.OnceValue(func() stamp {
	info, _ := debug.ReadBuildInfo()
	return stampOf(stamp{number, commit}, info)
})

// stampOf prefers what the linker was told. `go install` of a released module says
// the version, and `go build` within a checkout the commit (info; nil where
// nothing is known).
func stampOf(linked stamp, info *debug.BuildInfo) stamp {
	s := linked
	if info != nil {
		if v := info.Main.Version; s.number == "" && v != "" && v != "(devel)" {
			s.number = v
		}
		if s.commit == "" {
			s.commit = revision(info.Settings)
		}
	}
	if s.number == "" {
		s.number = "dev"
	}
	if s.commit == "" {
		s.commit = "unknown"
	}
	return s
}

// revision returns the commit that was built, with "-dirty" where files differ
// from it; empty where that is unknown.
func revision(settings []debug.BuildSetting) string {
	var commit, dirty string
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if commit == "" {
		return ""
	}
	return commit + dirty
}
