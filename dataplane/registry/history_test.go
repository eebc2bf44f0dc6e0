// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// blank has nothing to say of itself, or a text.
type blank string

func (b blank) Describe(into *dataplanev1alpha1.Connection) { into.UserAgent = string(b) }
func (blank) Disconnect(Disconnect) error                   { return nil }
func (blank) Send(context.Context, Send) error              { return nil }

func newBlank(ID) Connection { return blank("") }

func TestSizesAreThoseThatAreCounted(t *testing.T) {
	if got := reflect.TypeFor[change]().Size(); got != changeBytes {
		t.Errorf("a change takes %d bytes, counted as %d", got, changeBytes)
	}
	if got := reflect.TypeFor[left]().Size(); got != endedBytes {
		t.Errorf("what is left of a connection takes %d bytes, counted as %d", got, endedBytes)
	}
	if got := reflect.TypeFor[life]().Size(); got != lifeBytes {
		t.Errorf("what is remembered of one takes %d bytes, counted as %d", got, lifeBytes)
	}
}

// naive is a registry that keeps every change ever, and finds by looking at all.
type naive struct {
	bounds Bounds
	clock  clock.Stamp
	all    []naiveChange
	kept   int // How many of the last ones are within the bounds.
	bytes  int // What those take.
	floor  clock.Stamp
}

type naiveChange struct {
	stamp    clock.Stamp
	kind     Kind
	sequence uint64
	phase    dataplanev1alpha1.Phase
	upstream string
	bytes    int
}

func (m *naive) note(wall time.Time, c naiveChange) {
	m.clock = max(m.clock+1, clock.Stamp(wall.UnixMicro()))
	c.stamp = m.clock
	m.all = append(m.all, c)
	m.kept++
	m.bytes += c.bytes
	for m.kept > m.bounds.Changes || m.bytes > m.bounds.Bytes {
		m.drop()
	}
	for range 2 {
		if m.kept > 0 && m.oldest().stamp < m.clock-clock.Stamp(m.bounds.Age.Microseconds()) {
			m.drop()
		}
	}
}

func (m *naive) oldest() naiveChange { return m.all[len(m.all)-m.kept] }

func (m *naive) drop() {
	m.floor = m.oldest().stamp + 1
	m.bytes -= m.oldest().bytes
	m.kept--
}

// Random histories, with a wall clock that goes anywhere, against a model that is
// too simple to be wrong.
func TestChangesAreThoseOfTheModel(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 3))
		bounds := Bounds{Changes: 1 + random.IntN(2000), Bytes: 100 + random.IntN(200_000), Age: time.Duration(1+random.IntN(2000)) * time.Second}
		wall := time.UnixMicro(1767323045_000000)
		r := NewWith("a pod", Options{Now: func() time.Time { return wall }, History: bounds})
		m := &naive{bounds: bounds, clock: r.Clock().Boot()}
		var live []*Entry
		into := make([]Change, 700)
		for step := range 2000 {
			wall = wall.Add(time.Duration(random.IntN(3_000_000)-500_000) * time.Microsecond)
			i := random.IntN(len(live) + 1)
			switch {
			case i == len(live) || random.IntN(3) == 0:
				client := blank(fmt.Sprintf("%*d", random.IntN(100), step))
				live = append(live, r.Add(func(ID) Connection { return client }))
				m.note(wall, naiveChange{
					kind: Added, sequence: live[len(live)-1].id.sequence, phase: dataplanev1alpha1.Phase_PHASE_CONNECTING, bytes: changeBytes,
				})
			case random.IntN(2) == 0:
				c := naiveChange{kind: Modified, sequence: live[i].id.sequence, phase: dataplanev1alpha1.Phase(1 + random.IntN(4))}
				c.upstream = []string{"", "10.0.0.1:80"}[random.IntN(2)]
				c.bytes = changeBytes
				r.Report(live[i].id, c.phase, c.upstream)
				m.note(wall, c)
			default:
				last := &dataplanev1alpha1.Connection{UserAgent: string(live[i].connection.(blank)), Phase: dataplanev1alpha1.Phase_PHASE_CLOSING}
				c := naiveChange{
					kind: Deleted, sequence: live[i].id.sequence, phase: last.Phase, bytes: changeBytes + endedBytes + len(last.UserAgent) + 3, // its phase, and no time
				}
				r.RemoveAs(live[i].id, last)
				m.note(wall, c)
				live[i] = live[len(live)-1]
				live = live[:len(live)-1]
			}
			if random.IntN(10) == 0 {
				m.clock = max(m.clock, clock.Stamp(wall.UnixMicro()))
				sent := m.clock + clock.Stamp(random.IntN(4_000_000)-2_000_000)
				m.clock = max(m.clock, sent) + 1
				if got, err := r.Clock().MovePast(sent); got != m.clock || err != nil {
					t.Fatalf("seed %d, step %d: the clock is %d, %v, want %d", seed, step, got, err, m.clock)
				}
			}
			if random.IntN(4) > 0 {
				continue
			}
			from := m.clock + 1
			if n := len(m.all); random.IntN(4) > 0 {
				from = m.all[max(0, n-1-random.IntN(2*m.kept+2))].stamp + clock.Stamp(random.IntN(3)-1)
			}
			m.compare(t, fmt.Sprintf("seed %d, step %d", seed, step), r, wall, from, into[:1+random.IntN(len(into)-1)])
			if h := &r.history; h.len() > bounds.Changes || h.bytes > bounds.Bytes {
				t.Fatalf("seed %d, step %d: %d changes and %d bytes, %+v", seed, step, h.len(), h.bytes, bounds)
			}
		}
	}
}

func (m *naive) compare(t *testing.T, where string, r *Registry, wall time.Time, from clock.Stamp, into []Change) {
	t.Helper()
	n, reached, err := r.Changes(from, into)
	if errors.Is(err, ErrForgotten) != (from < m.floor) || (err != nil) != (from < m.floor) {
		t.Fatalf("%s: from %d: %v, floor %d", where, from, err, m.floor)
	}
	if err != nil {
		return
	}
	want := m.all
	for len(want) > 0 && want[0].stamp < from {
		want = want[1:]
	}
	fits := min(len(into), readAtOnce, len(want))
	var wantReached clock.Stamp
	if fits < len(want) {
		wantReached = want[fits].stamp - 1
	} else {
		m.clock = max(m.clock, clock.Stamp(wall.UnixMicro()))
		wantReached = m.clock
	}
	if n != fits || reached != wantReached {
		t.Fatalf("%s: from %d: %d changes, complete to %d, want %d and %d", where, from, n, reached, fits, wantReached)
	}
	for i, c := range into[:n] {
		w := want[i]
		if c.Stamp != w.stamp || c.Kind != w.kind || c.ID().sequence != w.sequence || c.phase != w.phase || c.upstream != upstreamOf(w.upstream) {
			t.Fatalf("%s: change %d is %+v, want %+v", where, i, c, w)
		}
		if i%64 != 0 {
			continue
		}
		if d := c.Describe(); d.GetPhase() != w.phase || d.GetUpstream() != w.upstream || d.GetVersion() != int64(w.stamp) || d.GetUserAgent() == "" {
			t.Fatalf("%s: change %d, %+v, is described as %v", where, i, w, d)
		}
	}
}

// The history of a connection that is gone must not hold it.
func TestNoChangeKeepsAConnectionThatIsGone(t *testing.T) {
	r := NewWith("a pod", Options{History: Bounds{Changes: 700}})
	random := rand.New(rand.NewPCG(4, 5))
	var live []*Entry
	for range 5000 {
		live = append(live, r.Add(newBlank))
		for range random.IntN(3) {
			r.Report(live[random.IntN(len(live))].id, dataplanev1alpha1.Phase_PHASE_OPEN, "")
		}
		for len(live) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(live))
			r.Remove(live[i])
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
		}
	}
	h := &r.history
	for n := h.first; n < h.next; n++ {
		e := h.at(n).entry
		_, left := e.connection.(*ended)
		if gone := r.order.get(e.id.sequence) == nil; gone != left {
			t.Fatalf("change %d: gone %v, what is left of it %v", n, gone, left)
		}
	}
	if want := (h.len() + 2*blockChanges - 2) / blockChanges; len(h.blocks) > want {
		t.Errorf("%d blocks for %d changes", len(h.blocks), h.len())
	}
}

// Addresses of those who left are forgotten also when nothing else happens, and
// memory is given back.
func TestWhatIsOldIsForgottenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const age = time.Minute
		r := NewWith("a pod", Options{History: Bounds{Age: age}})
		h := &r.history
		check := func(what string, want bool) {
			t.Helper()
			r.mu.Lock()
			defer r.mu.Unlock()
			if got := h.len() > 0; got != want {
				t.Errorf("%s: %d changes are kept", what, h.len())
			}
		}
		time.Sleep(time.Second) // From here on the clock is wall time.
		for range 5000 {
			r.Remove(r.Add(newBlank))
		}
		time.Sleep(age - time.Second)
		check("in time", true)
		time.Sleep(age/8 + 2*time.Second)
		check("after it", false)
		if len(h.blocks) > 0 || h.spare != nil || h.bytes != 0 || r.forgets {
			t.Errorf("kept for nothing: %d blocks, spare %v, %d bytes, timer %v", len(h.blocks), h.spare != nil, h.bytes, r.forgets)
		}
		// One that comes now and then is no reason to keep those before it.
		for range 20 {
			r.Add(newBlank)
			time.Sleep(age / 5)
		}
		r.mu.Lock()
		if n := h.len(); n < 5 || n > 6 {
			t.Errorf("%d changes of the last minute, want 5 or 6", n)
		}
		r.mu.Unlock()
		time.Sleep(2 * age)
		check("in the end", false)
	})
}
