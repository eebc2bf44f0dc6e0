// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"slices"
	"sort"
)

// order keeps entries sorted by sequence. Sequences only grow, so adding is an
// append; removing leaves a gap, and when gaps outnumber entries all of them are
// closed at once, which is constant work per removal on average. A million
// connections take 16 MB here, and closing the gaps among them a few
// milliseconds.
type order struct {
	slots []slot
	// counts says how many entries the blocks of blockSize slots hold, so that
	// counting what comes after a place does not look at every slot.
	counts []int32
	live   int
}

// slot is the place of one entry, nil once it was removed.
type slot struct {
	sequence uint64
	entry    *Entry
}

const (
	blockSize = 1024
	// fewGaps are not worth moving entries for.
	fewGaps = blockSize
)

func (o *order) append(e *Entry) {
	if len(o.slots)%blockSize == 0 {
		o.counts = append(o.counts, 0)
	}
	o.slots = append(o.slots, slot{sequence: e.id.sequence, entry: e})
	o.counts[len(o.counts)-1]++
	o.live++
}

// find returns the index of the first slot at or after sequence. Sequences ascend
// by one from slot to slot, but for the gaps that were closed between them. So the
// distances from both ends leave no choice where there were none, and no more
// slots to choose from than there were gaps.
func (o *order) find(sequence uint64) int {
	n := len(o.slots)
	if n == 0 || sequence <= o.slots[0].sequence {
		return 0
	}
	first, last := o.slots[0].sequence, o.slots[n-1].sequence
	if sequence > last {
		return n
	}
	from := max(0, n-1-int(last-sequence)) // #nosec G115 -- sequences have 40 bits.
	to := min(n-1, int(sequence-first))    // #nosec G115 -- sequences have 40 bits.
	return from + sort.Search(to-from, func(i int) bool { return o.slots[from+i].sequence >= sequence })
}

func (o *order) get(sequence uint64) *Entry {
	if i := o.find(sequence); i < len(o.slots) && o.slots[i].sequence == sequence {
		return o.slots[i].entry
	}
	return nil
}

// remove returns what it removed, or nil.
func (o *order) remove(sequence uint64) *Entry {
	i := o.find(sequence)
	if i == len(o.slots) || o.slots[i].sequence != sequence || o.slots[i].entry == nil {
		return nil
	}
	e := o.slots[i].entry
	o.slots[i].entry = nil
	o.counts[i/blockSize]--
	o.live--
	if gaps := len(o.slots) - o.live; gaps > o.live+fewGaps {
		o.compact()
	}
	return e
}

// compact closes the gaps, and gives memory back that a burst of connections
// left behind.
func (o *order) compact() {
	kept := slices.DeleteFunc(o.slots, func(s slot) bool { return s.entry == nil })
	if cap(kept) > 4*len(kept)+blockSize {
		kept = slices.Clone(kept)
	}
	o.slots, o.counts = kept, o.counts[:0]
	for rest := len(kept); rest > 0; rest -= blockSize {
		o.counts = append(o.counts, int32(min(rest, blockSize)))
	}
}

// from returns at most limit entries from the slot at index i on, and the number
// of those after them.
func (o *order) from(i, limit int) (page []*Entry, remaining int) {
	page = make([]*Entry, 0, max(0, min(limit, o.live)))
	for ; i < len(o.slots) && len(page) < limit; i++ {
		if e := o.slots[i].entry; e != nil {
			page = append(page, e)
		}
	}
	for ; i < len(o.slots) && i%blockSize != 0; i++ {
		if o.slots[i].entry != nil {
			remaining++
		}
	}
	for block := (i + blockSize - 1) / blockSize; block < len(o.counts); block++ {
		remaining += int(o.counts[block])
	}
	return page, remaining
}
