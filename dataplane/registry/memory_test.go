// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// heap returns the bytes in use, when what is not used was collected.
func heap() int {
	runtime.GC()
	runtime.GC() // What the first one found in pools is dropped by the second.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc) // #nosec G115 -- no machine has as much.
}

// ordinary is what a browser's connection says at its end.
func ordinary() *dataplanev1alpha1.Connection {
	at := timestamppb.New(time.UnixMicro(1767323045_123456))
	traffic := &dataplanev1alpha1.Traffic{Messages: 12_345, Bytes: 5 << 20}
	return &dataplanev1alpha1.Connection{
		SourceIp: "192.0.2.111", Origin: "https://shop.example", Path: "/chat/room", ConnectedAt: at, LastActiveAt: at, ClosingSince: at,
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
		Phase:     dataplanev1alpha1.Phase_PHASE_CLOSING, FromClient: traffic, FromUpstream: traffic, Upstream: "10.244.1.17:8080", Reconnectable: true,
	}
}

// bytesPerConnection bounds what the registry keeps of a live connection: an Entry
// (48) and its slot in the order (16, and up to a quarter more because a slice
// grows by that), and 3 for the odd ends. The history is not in it.
const bytesPerConnection = 48 + 16*5/4 + 3

// bytesPerPast bounds what the history keeps of an ordinary connection that came and
// went: four changes (6 each), the 55 bytes of its last state that nobody else has in
// common with it, and where they are (50); and a tenth for chunks that are not full.
const bytesPerPast = (4*6 + 55 + 50) * 11 / 10

func TestMemoryOfAMillionConnectionsIsBounded(t *testing.T) {
	const n = 1_000_000
	r := NewWith("a pod", Options{History: Bounds{Changes: 1}})
	before := heap()
	for range n {
		r.Add(newBlank)
	}
	each := float64(heap()-before) / n
	t.Logf("%.1f bytes for each of %d connections", each, r.Len())
	if each > bytesPerConnection {
		t.Errorf("%.1f bytes for each of a million connections, want at most %d", each, bytesPerConnection)
	}
}

func TestMemoryOfTheHistoryIsWhatIsCounted(t *testing.T) {
	for name, life := range map[string]func(*Registry){
		"opened": func(r *Registry) { r.Add(newBlank) },
		"opened, changed and closed": func(r *Registry) {
			e := r.Add(newBlank)
			r.Report(e.id, dataplanev1alpha1.Phase_PHASE_OPEN, "10.244.1.17:8080")
			r.Report(e.id, dataplanev1alpha1.Phase_PHASE_CLOSING, "10.244.1.17:8080")
			r.RemoveAs(e.id, ordinary())
		},
	} {
		t.Run(name, func(t *testing.T) {
			// What the connections themselves take, to be subtracted.
			fill := func(b Bounds) (*Registry, int) {
				r := NewWith("a pod", Options{History: b})
				before := heap()
				for range 40_000 {
					life(r)
				}
				return r, heap() - before
			}
			without, least := fill(Bounds{Changes: 1})
			r, took := fill(Bounds{})
			took -= least
			h := &r.history
			t.Logf("%d changes: %d bytes counted, %d taken, %.1f each", h.len, h.bytes, took, float64(took)/float64(h.len))
			if h.bytes > 16<<20 || h.len > 1<<17 {
				t.Errorf("%d changes with %d bytes are kept", h.len, h.bytes)
			}
			// What all have in common is there once. A map is fuller or emptier.
			counted := h.bytes
			gone := 0
			changes := h.from(0)
			for c, ok := changes.next(); ok; c, ok = changes.next() {
				if c.kind == Deleted {
					counted -= c.left.said.Value().bytes()
					gone++
				}
			}
			if took > counted*9/8 || took < counted*7/8 {
				t.Errorf("they take %d bytes, counted as %d", took, counted)
			}
			if gone > 0 && took/gone > bytesPerPast {
				t.Errorf("the past of a connection takes %d bytes", took/gone)
			}
			runtime.KeepAlive(without)
		})
	}
	t.Logf("the last state of an ordinary connection has %d bytes", proto.Size(ordinary()))
}

// A map of Go stays as large as it ever was.
func TestManyClientsLeaveNoMemoryBehind(t *testing.T) {
	const n = 50_000
	r := New("a pod")
	client := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	before := heap()
	for i := range n {
		if err := r.Reserve(client(i), Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	full := heap() - before
	for i := range n {
		if i%1000 > 0 { // Some stay.
			r.Release(client(i))
		}
	}
	left := heap() - before
	t.Logf("%d bytes with all, %d with one of a thousand", full, left)
	if left > full/50 {
		t.Errorf("%d of %d bytes are kept for one client of a thousand", left, full)
	}
	for i := range n {
		if want := i%1000 == 0; errors.Is(r.Reserve(client(i), Limits{PerClient: 1}), ErrClientFull) != want {
			t.Fatalf("client %d is there: %v", i, !want)
		}
	}
}

// BenchmarkLife is that of an ordinary connection among a million others: it is
// added, becomes Open, then Closing, and is removed.
func BenchmarkLife(b *testing.B) {
	r := New("k5dfau6e5kgemg63i")
	live := make([]*Entry, 1_000_000)
	for i := range live {
		live[i] = r.Add(newBlank)
	}
	last := ordinary()
	for b.Loop() {
		i := rand.IntN(len(live)) // #nosec G404 -- a benchmark.
		r.Report(live[i].id, dataplanev1alpha1.Phase_PHASE_OPEN, "10.244.1.17:8080")
		r.Report(live[i].id, dataplanev1alpha1.Phase_PHASE_CLOSING, "10.244.1.17:8080")
		r.RemoveAs(live[i].id, last)
		live[i] = r.Add(newBlank)
	}
}

// BenchmarkLifeWhileRead is the same with somebody who follows, and somebody who
// lists, without a pause.
func BenchmarkLifeWhileRead(b *testing.B) {
	r := New("k5dfau6e5kgemg63i")
	live := make([]*Entry, 1_000_000)
	for i := range live {
		live[i] = r.Add(newBlank)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		into := make([]Change, readAtOnce)
		for from := r.clock.Now(); ; {
			_, reached, err := r.Changes(from, into)
			if err != nil {
				reached = r.clock.Now()
			}
			from = reached + 1
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	go func() {
		for {
			for range r.All() {
				select {
				case <-done:
					return
				default:
				}
			}
		}
	}()
	last := ordinary()
	for b.Loop() {
		i := rand.IntN(len(live)) // #nosec G404 -- a benchmark.
		r.Report(live[i].id, dataplanev1alpha1.Phase_PHASE_OPEN, "10.244.1.17:8080")
		r.Report(live[i].id, dataplanev1alpha1.Phase_PHASE_CLOSING, "10.244.1.17:8080")
		r.RemoveAs(live[i].id, last)
		live[i] = r.Add(newBlank)
	}
}
