// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package dataplanev1alpha1

import (
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	const name = "k5dfau6e5kgemg63i-00000011"
	pod, sequence, ok := ParseName(name)
	if !ok || pod != "k5dfau6e5kgemg63i" || sequence != 33 {
		t.Errorf("got %q, %d, %v", pod, sequence, ok)
	}
	if prefix := PodPrefix("8f4c3a0e-0000-4000-8000-000000000001"); !strings.HasPrefix(name, prefix) || len(prefix) != PodPrefixLength {
		t.Errorf("the prefix is %q", prefix)
	}
	for _, foreign := range []string{
		"", "chat", name[1:], name + "0", strings.ToUpper(name), strings.Replace(name, "-", "_", 1),
		strings.Replace(name, "5", "w", 1), strings.Replace(name, "00000011", "0000001.", 1), strings.Repeat("-", NameLength),
	} {
		if pod, sequence, ok := ParseName(foreign); ok {
			t.Errorf("%q was taken for %q, %d", foreign, pod, sequence)
		}
	}
}
