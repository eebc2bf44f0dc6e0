// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestParseReadsWhatPayloadMade(t *testing.T) {
	for _, size := range []int{0, 8, 64, 70, 4096} {
		for sequence := range uint64(30) {
			m := message{connection: 7, sequence: sequence, sent: time.Duration(sequence) * time.Millisecond}
			p := m.payload(size)
			if len(p) < size {
				t.Fatalf("payload has %d bytes, want %d", len(p), size)
			}
			if got, err := parse(m.kind(), p, size); err != nil || got != m {
				t.Errorf("parse(%q) = %+v, %v; want %+v", p, got, err, m)
			}
		}
	}
}

func TestParseRefusesWhatIsNotExactlyOurs(t *testing.T) {
	const size = 64
	m := message{connection: 3, sequence: 4, sent: time.Second}
	whole := m.payload(size)
	flipped := append([]byte(nil), whole...)
	flipped[size-1] ^= 1
	other := message{connection: 3, sequence: 6, sent: time.Second}
	for name, p := range map[string][]byte{
		"empty":              {},
		"cut":                whole[:size-1],
		"longer":             append(append([]byte(nil), whole...), 'x'),
		"a byte is changed":  flipped,
		"two halves":         append(append([]byte(nil), whole[:32]...), other.payload(size)[32:]...),
		"a number with sign": append([]byte("+"), whole...),
	} {
		if _, err := parse(websocket.TextMessage, p, size); !errors.Is(err, errForeign) {
			t.Errorf("%s: parse(%q) returned %v, want %v", name, p, err, errForeign)
		}
	}
	if _, err := parse(websocket.BinaryMessage, whole, size); !errors.Is(err, errForeign) {
		t.Errorf("a text message that came back as binary was taken: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(1, message{connection: 1, sequence: 2, sent: 3}.payload(64), 64)
	f.Add(2, []byte("1 1 -1 "), 0)
	f.Fuzz(func(t *testing.T, kind int, payload []byte, size int) {
		size = min(max(size, 0), 1<<12)
		m, err := parse(kind, payload, size)
		if err != nil {
			return
		}
		if again := m.payload(size); string(again) != string(payload) {
			t.Errorf("took %q for %q", payload, again)
		}
	})
}

func TestDelaysAreToldFromEachOther(t *testing.T) {
	var d delays
	for range 98 {
		d.add(time.Millisecond)
	}
	d.add(2 * time.Second)
	d.add(-time.Second) // A clock that is a little off.
	for _, test := range []struct {
		q         float64
		low, high time.Duration
	}{{0.5, time.Millisecond, 2 * time.Millisecond}, {0.98, time.Millisecond, 2 * time.Millisecond}, {1, 2 * time.Second, 2 * time.Second}} {
		if got := d.quantile(test.q); got < test.low || got > test.high {
			t.Errorf("quantile(%v) = %v, want %v to %v", test.q, got, test.low, test.high)
		}
	}
	var sum delays
	sum.merge(&d)
	sum.merge(&d)
	if sum.count != 200 || sum.longest != 2*time.Second {
		t.Errorf("merged %d, longest %v; want 200 and 2s", sum.count, sum.longest)
	}
	if got := (&delays{}).quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing is %v, want 0", got)
	}
}
