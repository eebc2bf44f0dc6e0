// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// balance is how the connections of a proxy are spread over its pods, and which of
// them are to be closed.
type balance struct {
	// ready is how many pods take clients, those without a connection included.
	ready  int
	shares map[string]*share
	total  int
	moved  []target
}

// share is what one pod has of them.
type share struct {
	// now counts all that do not end already, open has those of them that can be moved.
	now    int
	open   []candidate
	closes int
}

type candidate struct {
	target
	lastActive time.Time
}

// add counts a connection as the server lists it.
func (b *balance) add(c *unstructured.Unstructured) {
	phase, _, _ := unstructured.NestedString(c.Object, "status", "phase")
	pod, _, _ := unstructured.NestedString(c.Object, "spec", "pod")
	if phase == string(connectionsv1alpha1.ConnectionClosing) {
		return
	}
	s := b.shares[pod]
	if s == nil {
		s = &share{}
		b.shares[pod] = s
	}
	s.now++
	b.total++
	if phase != string(connectionsv1alpha1.ConnectionOpen) {
		return
	}
	at, _, _ := unstructured.NestedString(c.Object, "status", "lastActiveAt")
	// What cannot be read is the zero time, which is as idle as can be.
	lastActive, _ := time.Parse(time.RFC3339Nano, at)
	s.open = append(s.open, candidate{target{c.GetNamespace(), c.GetName()}, lastActive})
}

// plan chooses so few connections that no pod is expected to have more than its share
// and the tolerance on top when all of them have come back. The Service spreads those
// who come over all pods alike, the ones that they left included: that is why more
// have to be moved than the difference. Of each pod it is those that nothing was heard
// of for longest.
func (b *balance) plan(tolerance float64) {
	level := b.level(int(math.Ceil(float64(b.total)*(1+tolerance)/float64(b.ready) - 1e-9)))
	var chosen []candidate
	for _, s := range b.shares {
		slices.SortStableFunc(s.open, func(a, b candidate) int { return a.lastActive.Compare(b.lastActive) })
		s.closes = min(max(s.now-level, 0), len(s.open))
		chosen = append(chosen, s.open[:s.closes]...)
	}
	// The pods take turns, more or less.
	slices.SortFunc(chosen, func(a, b candidate) int { return a.lastActive.Compare(b.lastActive) })
	for _, c := range chosen {
		b.moved = append(b.moved, c.target)
	}
}

// level returns what each pod has to be brought down to, so that it has at most limit
// connections with what comes back to it then.
func (b *balance) level(limit int) int {
	most := 0
	for _, s := range b.shares {
		most = max(most, s.now)
	}
	return sort.Search(most, func(level int) bool {
		// Not the level itself, but the one above, is too much.
		level++
		above := 0
		for _, s := range b.shares {
			above += max(s.now-level, 0)
		}
		return level*b.ready+above > limit*b.ready
	})
}

// table says what each pod has, and can be expected to have.
func (b *balance) table() *metav1.Table {
	table := &metav1.Table{ColumnDefinitions: []metav1.TableColumnDefinition{
		{Name: "Pod", Type: "string"}, {Name: "Now", Type: "integer"}, {Name: "Close", Type: "integer"}, {Name: "Expected", Type: "integer"},
	}}
	back := float64(len(b.moved)) / float64(b.ready)
	row := func(pod string, now, closes int, back float64) {
		table.Rows = append(table.Rows, metav1.TableRow{Cells: []any{pod, int64(now), int64(closes), int64(math.Round(float64(now-closes) + back))}})
	}
	for _, pod := range slices.Sorted(maps.Keys(b.shares)) {
		row(pod, b.shares[pod].now, b.shares[pod].closes, back)
	}
	// Only connections are listed, so nobody knows the names of these.
	if empty := b.ready - len(b.shares); empty > 0 {
		row(fmt.Sprintf("(%d without connections, each)", empty), 0, 0, back)
	}
	return table
}
