// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import "testing"

func TestAWatchThatBeginsWaitsForEveryPodAsLong(t *testing.T) {
	a, b := &Pod{Name: "a"}, &Pod{Name: "b"}
	for name, c := range map[string]struct {
		unheard, missing, before []*Pod
		end                      bool
		want                     *Pod
	}{
		"all is there":                    {},
		"one says nothing":                {unheard: []*Pod{a}, missing: []*Pod{a, b}, want: a},
		"one is telling":                  {missing: []*Pod{a}, before: []*Pod{a}},
		"one is telling for too long":     {missing: []*Pod{b, a}, before: []*Pod{a}, end: true, want: a},
		"one has appeared at the end":     {missing: []*Pod{b}, before: []*Pod{a}, end: true},
		"nothing was missing before that": {missing: []*Pod{b}, end: true},
	} {
		if got := overdue(c.unheard, c.missing, c.before, c.end); got != c.want {
			t.Errorf("%s: %v is overdue, want %v", name, got, c.want)
		}
	}
}
