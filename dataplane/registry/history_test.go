// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// blank has nothing to say of itself, or a text.
type blank string

func (b blank) Describe(into *dataplanev1alpha1.Connection) { into.UserAgent = string(b) }
func (blank) Disconnect(Disconnect) error                   { return nil }
func (blank) Send(context.Context, Send) error              { return nil }

func newBlank(ID) Connection { return blank("") }

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
	// atMost is what it may take at most, bytes what it takes.
	atMost, bytes int
}

// note notes what the registry has just noted, too. How many bytes a change takes
// depends on those before it, so that is seen from the registry.
func (m *naive) note(t *testing.T, r *Registry, wall time.Time, c naiveChange) {
	t.Helper()
	m.clock = max(m.clock+1, clock.Stamp(wall.UnixMicro()))
	c.stamp = m.clock
	c.bytes = r.history.bytes - m.bytes
	for _, dropped := range m.all[len(m.all)-m.kept:][:min(m.kept, m.kept+1-r.history.len)] {
		c.bytes += dropped.bytes
	}
	if r.history.len == 0 {
		c.bytes = c.atMost // It was too much alone.
	}
	if c.bytes < 3 || c.bytes > c.atMost {
		t.Fatalf("%+v takes %d bytes", c, c.bytes)
	}
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
	const alone = 18 // what a change takes without what is left of a connection, at most
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
				m.note(t, r, wall, naiveChange{
					kind: Added, sequence: live[len(live)-1].id.sequence, phase: dataplanev1alpha1.Phase_PHASE_CONNECTING, atMost: alone,
				})
			case random.IntN(2) == 0:
				c := naiveChange{kind: Modified, sequence: live[i].id.sequence, phase: dataplanev1alpha1.Phase(1 + random.IntN(4)), atMost: alone}
				c.upstream = []string{"", "10.0.0.1:80", "10.0.0.2:80"}[random.IntN(3)]
				r.Report(live[i].id, c.phase, c.upstream)
				m.note(t, r, wall, c)
			default:
				last := &dataplanev1alpha1.Connection{UserAgent: string(live[i].connection.(blank)), Phase: dataplanev1alpha1.Phase_PHASE_CLOSING}
				c := naiveChange{
					kind: Deleted, sequence: live[i].id.sequence, phase: last.Phase, atMost: alone + goneBytes + len(last.UserAgent) + 3, // its phase, and no time
				}
				if random.IntN(2) == 0 { // It is remembered, and what is left of it is elsewhere.
					last.End = &dataplanev1alpha1.End{By: "Client", Code: 1000}
					c.atMost += len("Client") + 6
				}
				r.RemoveAs(live[i].id, last)
				m.note(t, r, wall, c)
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
			if h := &r.history; h.len > bounds.Changes || h.bytes > bounds.Bytes {
				t.Fatalf("seed %d, step %d: %d changes and %d bytes, %+v", seed, step, h.len, h.bytes, bounds)
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
		if c.Stamp != w.stamp || c.Kind != w.kind || c.ID().sequence != w.sequence || c.phase != w.phase || c.upstream != w.upstream {
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
	made := map[uint64]weak.Pointer[Entry]{}
	for range 5000 {
		e := r.Add(newBlank)
		live, made[e.id.sequence] = append(live, e), weak.Make(e)
		for range random.IntN(3) {
			r.Report(live[random.IntN(len(live))].id, dataplanev1alpha1.Phase_PHASE_OPEN, "")
		}
		for len(live) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(live))
			r.Remove(live[i])
			live[i], live[len(live)-1] = live[len(live)-1], nil
			live = live[:len(live)-1]
		}
	}
	runtime.GC()
	for sequence, e := range made {
		if gone := r.order.get(sequence) == nil; gone != (e.Value() == nil) {
			t.Fatalf("connection %d: gone %v, and kept %v", sequence, gone, e.Value() != nil)
		}
	}
	gone := 0
	changes := r.history.from(0)
	for c, ok := changes.next(); ok; c, ok = changes.next() {
		if c.kind == Deleted {
			gone++
		}
	}
	if gone == 0 || len(r.history.gone.of) != gone {
		t.Errorf("%d are gone, and something is left of %d", gone, len(r.history.gone.of))
	}
	runtime.KeepAlive(live)
}

// Chunks are of one size, but for what is larger.
func TestWhatIsLargerThanAChunkIsKept(t *testing.T) {
	r := New("a pod")
	for i := range 20 {
		e := r.Add(newBlank)
		r.RemoveAs(e.id, &dataplanev1alpha1.Connection{Path: strings.Repeat("x", i*chunkBytes/8)})
	}
	into := make([]Change, 100)
	n, _, err := r.Changes(1, into)
	if n != 40 || err != nil {
		t.Fatalf("%d changes, %v", n, err)
	}
	for i, c := range into[:n] {
		if got, want := len(c.Describe().GetPath()), i/2*chunkBytes/8; got != want {
			t.Errorf("change %d has a path of %d bytes, want %d", i, got, want)
		}
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
			if got := h.len > 0; got != want {
				t.Errorf("%s: %d changes are kept", what, h.len)
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
		if len(h.chunks) > 0 || h.gone.of != nil || h.bytes != 0 || r.forgets {
			t.Errorf("kept for nothing: %d chunks, a table %v, %d bytes, timer %v", len(h.chunks), h.gone.of != nil, h.bytes, r.forgets)
		}
		// One that comes now and then is no reason to keep those before it.
		for range 20 {
			r.Add(newBlank)
			time.Sleep(age / 5)
		}
		r.mu.Lock()
		if n := h.len; n < 5 || n > 6 {
			t.Errorf("%d changes of the last minute, want 5 or 6", n)
		}
		r.mu.Unlock()
		time.Sleep(2 * age)
		check("in the end", false)
	})
}
