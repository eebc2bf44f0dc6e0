// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package pump

import "sync"

// chunkSize is the size in bytes of the buffers that sockets are read into. It
// bounds what a connection holds of its peers' data: one buffer per direction
// that is being written.
const chunkSize = 16 << 10

// chunk is such a buffer. It is taken when bytes have come, and given back when
// they were written, so that an idle connection has none.
type chunk struct{ bytes [chunkSize]byte }

var chunks = sync.Pool{New: func() any { return new(chunk) }}

func newChunk() *chunk { return chunks.Get().(*chunk) }

func (b *chunk) free() {
	if b != nil {
		chunks.Put(b)
	}
}
