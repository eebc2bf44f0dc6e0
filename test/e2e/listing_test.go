// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// in is the same room in a subtest.
func (r *room) in(t *testing.T) *room {
	return &room{Client: r.Client, t: t, namespace: r.namespace}
}

// held returns the names of the connections that are open, as each client has
// learned its own, in order.
func held(t *testing.T, clients *fleet.Fleet) []string {
	t.Helper()
	var names []string
	for _, record := range clients.Report().Records {
		if !record.Closed.IsZero() {
			continue
		}
		if _, _, ok := dataplanev1alpha1.ParseName(record.ID); !ok {
			t.Fatalf("client %d was told the name %q", record.Number, record.ID)
		}
		names = append(names, record.ID)
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) {
		t.Fatalf("%d clients share %d names", len(names), n)
	}
	return names
}

// listed returns what `kubectl get wsc -o name` lists in the room, in that order,
// and whatever else it says.
func (r *room) listed(args ...string) (names []string, rest string) {
	r.t.Helper()
	out := mustKubectl(r.t, "", append([]string{"-n", r.namespace, "get", "wsc", "-o", "name", "--ignore-not-found"}, args...)...)
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(line, "websocketconnection.connections.wsproxy.io/"); ok {
			names = append(names, strings.TrimSpace(name))
		} else {
			rest += line
		}
	}
	return names, rest
}

// lists fails unless kubectl lists exactly these connections and says nothing
// else, such as that the list lacks something.
func (r *room) lists(want []string, args ...string) {
	r.t.Helper()
	names, rest := r.listed(args...)
	if err := same(names, want); err != nil || rest != "" {
		r.t.Errorf("kubectl get wsc %s: %v\n%s", strings.Join(args, " "), err, rest)
	}
}

// same compares a list with what it should be, in the order of names.
func same(got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	missing := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return slices.Contains(got, name) })
	more := slices.DeleteFunc(slices.Clone(got), func(name string) bool { return slices.Contains(want, name) })
	return fmt.Errorf("%d are listed, want %d; in order: %t; missing: %d %.3v; not expected: %d %.3v",
		len(got), len(want), slices.IsSorted(got), len(missing), missing, len(more), more)
}
