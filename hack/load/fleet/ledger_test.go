// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import "testing"

func TestLedgerTellsWhatHappenedToTheMessages(t *testing.T) {
	type counts struct{ received, outstanding, overtaken, missing, duplicated, outOfOrder, foreign uint64 }
	for _, test := range []struct {
		name string
		back []uint64 // of five that were sent
		want counts
	}{
		{"nothing came", nil, counts{outstanding: 5, missing: 5}},
		{"all in order", []uint64{0, 1, 2, 3, 4}, counts{received: 5}},
		{"the last ones are on their way", []uint64{0, 1, 2}, counts{received: 3, outstanding: 2, missing: 2}},
		{"one is lost in the middle", []uint64{0, 1, 3, 4}, counts{received: 4, overtaken: 1, missing: 1}},
		{"the first two are lost", []uint64{2, 3, 4}, counts{received: 3, overtaken: 2, missing: 2}},
		{"one came twice", []uint64{0, 1, 1, 2, 3, 4}, counts{received: 5, duplicated: 1}},
		{"two changed places", []uint64{0, 2, 1, 3, 4}, counts{received: 5, outOfOrder: 1}},
		{"a late one came twice", []uint64{0, 2, 1, 1, 3, 4}, counts{received: 5, outOfOrder: 1, duplicated: 1}},
		{"one that was never sent", []uint64{0, 1, 2, 3, 4, 5}, counts{received: 5, foreign: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l ledger
			for want := range uint64(5) {
				if got := l.send(); got != want {
					t.Fatalf("message number %d was called %d", want, got)
				}
			}
			for _, sequence := range test.back {
				l.receive(sequence)
			}
			got := counts{l.received(), l.outstanding(), l.overtaken(), l.missing(), l.duplicated, l.outOfOrder, l.foreign}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestAMessageThatWasNotHandedOverIsNotMissing(t *testing.T) {
	var l ledger
	l.send()
	l.receive(0)
	l.send()
	l.unsend()
	if l.missing() != 0 || l.sent != 1 {
		t.Errorf("sent %d, missing %d; want 1 and 0", l.sent, l.missing())
	}
}
