// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/binary"
	"slices"
	"unique"

	"github.com/wsproxy/wsproxy/api/clock"
)

// change is what the history keeps of a Change.
type change struct {
	stamp    clock.Stamp
	sequence uint64 // of the connection
	kind     Kind
	phase    uint8  // after the change
	before   uint8  // the phase before it; 0 where there is none
	upstream string // after the change; empty where there is none
	left     left   // of one that is Deleted; none where that is in another log
}

// chunk has changes as bytes, one after the other: a connection that came and went
// is a few dozen of them, of which the garbage collector need not know, and which
// leave no gaps in memory among what lives for longer or shorter. What was written is
// never written again, so that who has a part of it needs no lock.
type chunk struct {
	data []byte
	// first is the stamp of the first change.
	first clock.Stamp
	// What many changes have in common is there once, and stands as its place here.
	upstreams []string
	said      []unique.Handle[said]
}

// chunkBytes is a size of the allocator. A change that needs more gets a chunk of its
// own.
const chunkBytes = 8 << 10

// place is where a change begins in a chunk. The change before it is what stamp and
// sequence are counted from; 0 for the first one.
type place struct {
	at       int
	stamp    clock.Stamp
	sequence uint64
}

// changeMax is more than a change takes beside what is left of a connection.
const changeMax = 1 + 5*binary.MaxVarintLen64

// fits says whether there is room for a change.
func (c *chunk) fits(n change) bool { return len(c.data)+changeMax+len(n.left.own) <= cap(c.data) }

// newChunk returns a chunk for a change and those after it.
func newChunk(n change) *chunk {
	return &chunk{data: make([]byte, 0, max(chunkBytes, changeMax+len(n.left.own))), first: n.stamp}
}

const (
	kindBits  = 2
	phaseBits = 3
)

// append writes a change, which fits, behind the last one, and returns the place
// behind it and, of one that is Deleted, where its left is.
func (c *chunk) append(last place, n change) (next place, leftAt int) {
	b := append(c.data, uint8(n.kind)|n.phase<<kindBits|n.before<<(kindBits+phaseBits))
	b = binary.AppendUvarint(b, uint64(n.stamp-last.stamp))            // #nosec G115 -- stamps ascend.
	b = binary.AppendVarint(b, int64(n.sequence)-int64(last.sequence)) // #nosec G115 -- sequences have 40 bits.
	if n.kind != Added {
		b = binary.AppendUvarint(b, uint64(indexOf(&c.upstreams, n.upstream)))
	}
	if n.kind == Deleted {
		leftAt = len(b)
		i := indexOf(&c.said, n.left.said)
		if b = binary.AppendUvarint(b, uint64(i)); i > 0 {
			b = binary.AppendUvarint(b, uint64(len(n.left.own)))
			b = append(b, n.left.own...)
		}
	}
	c.data = b
	return place{len(b), n.stamp, n.sequence}, leftAt
}

// indexOf returns the index and one of an element, which it adds where it is not
// there yet; 0 of the zero value, which is none.
func indexOf[T comparable](all *[]T, one T) int {
	var none T
	if one == none {
		return 0
	}
	i := slices.Index(*all, one)
	if i < 0 {
		i = len(*all)
		*all = append(*all, one)
	}
	return i + 1
}

// next reads the change at a place, and returns the place behind it.
func (c *chunk) next(p place) (n change, next place) {
	r := scan{c.data[p.at:]}
	head := r.byte()
	n.kind, n.phase, n.before = Kind(head&(1<<kindBits-1)), head>>kindBits&(1<<phaseBits-1), head>>(kindBits+phaseBits)
	n.stamp = p.stamp + clock.Stamp(r.uvarint())        // #nosec G115 -- as it was written.
	n.sequence = uint64(int64(p.sequence) + r.varint()) // #nosec G115 -- as above.
	if n.kind != Added {
		if i := r.uvarint(); i > 0 {
			n.upstream = c.upstreams[i-1]
		}
	}
	if n.kind == Deleted {
		n.left = c.left(&r)
	}
	return n, place{len(c.data) - len(r.rest), n.stamp, n.sequence}
}

// leftAt reads what is left of a connection.
func (c *chunk) leftAt(at int) left { return c.left(&scan{c.data[at:]}) }

func (c *chunk) left(r *scan) (l left) {
	i := r.uvarint()
	if i == 0 {
		return left{}
	}
	l.said = c.said[i-1]
	n := r.uvarint()
	l.own, r.rest = r.rest[:n:n], r.rest[n:]
	return l
}

// scan reads what append wrote.
type scan struct{ rest []byte }

func (s *scan) byte() byte {
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

func (s *scan) uvarint() uint64 {
	v, n := binary.Uvarint(s.rest)
	s.rest = s.rest[n:]
	return v
}

func (s *scan) varint() int64 {
	v, n := binary.Varint(s.rest)
	s.rest = s.rest[n:]
	return v
}
