// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "sync"

// batch is what is to be written to a side as it is, in this order. A side has one
// only while there is something: so an idle connection has no list, and a message
// does not need a new one.
type batch struct{ pieces [][]byte }

// batches are those that nobody has, empty.
var batches = sync.Pool{New: func() any { return &batch{} }}

// maxPieces bounds the lists that are used again. Most have one piece; only control
// frames make long ones.
const maxPieces = 64

// ready returns what is to be written as it is; nil where there is nothing.
func (out *outbound) ready() [][]byte {
	if out.batch == nil {
		return nil
	}
	return out.batch.pieces
}

// push makes pieces ready.
func (out *outbound) push(pieces ...[]byte) {
	if out.batch == nil {
		out.batch = batches.Get().(*batch)
	}
	out.batch.pieces = append(out.batch.pieces, pieces...)
}

// clearReady is called when what was ready was written, or never will be. Of what
// was kept the list is not used again: what was dropped from it is still there.
func (out *outbound) clearReady() {
	b := out.batch
	out.batch = nil
	if b == nil || out.kept || cap(b.pieces) > maxPieces {
		return
	}
	clear(b.pieces)
	b.pieces = b.pieces[:0]
	batches.Put(b)
}
