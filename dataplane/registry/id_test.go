// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestNamesAreShortDNSLabels(t *testing.T) {
	boot := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, uid := range []string{"", "8f4c3a0e-0000-4000-8000-000000000001", strings.Repeat("x", 1000)} {
		for _, sequence := range []uint64{0, 31, 32, 1 << 39, 1<<40 - 1} {
			name := ID{newRun(NewPodID(uid, boot)), sequence}.Name()
			if problems := validation.IsDNS1123Label(name); len(problems) > 0 || len(name) != nameLength || len(name) > 50 {
				t.Errorf("%q: %v", name, problems)
			}
		}
	}
}

func TestPodIDsTellPodsAndRestartsApart(t *testing.T) {
	boot := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first := NewPodID("a", boot)
	if again := NewPodID("a", boot); again != first {
		t.Errorf("the same pod is %s and %s", first, again)
	}
	restarted := NewPodID("a", boot.Add(100*time.Millisecond))
	if restarted <= first || restarted[:podUIDChars] != first[:podUIDChars] {
		t.Errorf("a restart of %s is %s", first, restarted)
	}
	if later := NewPodID("a", boot.AddDate(50, 0, 0)); later <= restarted {
		t.Errorf("%s sorts after one 50 years later, %s", restarted, later)
	}
	if other := NewPodID("b", boot); other[:podUIDChars] == first[:podUIDChars] {
		t.Errorf("two pods are %s and %s", first, other)
	}
}

// The form is a contract: names in logs and in the hands of backends must be
// found after an upgrade, and callers tell the pod by the first 17 characters.
func TestNamesHaveTheFormOfTheContract(t *testing.T) {
	pod := NewPodID("8f4c3a0e-0000-4000-8000-000000000001", time.UnixMilli(1767323045000))
	if want := PodID("k5dfau6e5kgemg63i"); pod != want {
		t.Errorf("pod id %s, want %s", pod, want)
	}
	if name := (ID{newRun(pod), 33}).Name(); name != string(pod)+"-00000011" {
		t.Errorf("the 34th connection is %s", name)
	}
}

func TestUIDsAreRandomUUIDs(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 10 {
		process := newRun("the same id, as it should not be")
		for sequence := range uint64(100) {
			uid := ID{process, sequence}.UID()
			if !form.MatchString(uid) || seen[uid] {
				t.Fatalf("uid %q, seen before: %v", uid, seen[uid])
			}
			seen[uid] = true
			if again := (ID{process, sequence}).UID(); again != uid {
				t.Fatalf("the uid of one connection is %s and %s", uid, again)
			}
		}
	}
}

func FuzzParseName(f *testing.F) {
	f.Add(ID{newRun(NewPodID("a", time.UnixMilli(0))), 1<<40 - 1}.Name())
	f.Add("")
	f.Add("0123456789abcdefg-0000000w")
	f.Fuzz(func(t *testing.T, name string) {
		pod, sequence, ok := parseName(name)
		if !ok {
			return
		}
		if back := (ID{&run{pod: pod}, sequence}).Name(); back != name {
			t.Errorf("%q was taken for %q", name, back)
		}
	})
}
