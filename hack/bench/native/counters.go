// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package native

import (
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// subBits is log2 of the buckets in an octave of latencies, as in bench.h.
const subBits = 5

// Counters are what a program counts. The order is that of struct counters in
// bench.h.
type Counters struct {
	// Open is the number of connections now.
	Open uint64
	// Cycles are connections that were opened and closed as they should.
	Cycles uint64
	// Failed are handshakes that were not answered 101, Lost connections that ended
	// unasked, Wrong messages that are not what was sent.
	Failed, Lost, Wrong uint64
	// Messages are data messages received.
	Messages uint64
	// Received and Sent are bytes after the handshake, headers of frames included.
	Received, Sent uint64
	// Pings were answered.
	Pings   uint64
	Latency Histogram
}

// Histogram counts latencies in buckets of 3 %.
type Histogram [64 << subBits]uint64

// Quantile returns an upper bound of the latency that a share of all is at or
// below; 0 where there are none.
func (h *Histogram) Quantile(share float64) time.Duration {
	var total uint64
	for _, n := range h {
		total += n
	}
	rank := uint64(math.Ceil(share * float64(total)))
	var seen uint64
	for bucket, n := range h {
		seen += n
		if n > 0 && seen >= rank {
			return upper(bucket)
		}
	}
	return 0
}

// upper returns the longest latency of a bucket.
func upper(bucket int) time.Duration {
	octave := bucket>>subBits - 1
	if octave < 0 {
		return time.Duration(bucket)
	}
	return time.Duration((bucket-octave<<subBits+1)<<octave - 1)
}

// Since returns what was counted after an earlier state. Open is as it is now.
func (c *Counters) Since(before *Counters) *Counters {
	d := &Counters{
		Open: c.Open, Cycles: c.Cycles - before.Cycles,
		Failed: c.Failed - before.Failed, Lost: c.Lost - before.Lost, Wrong: c.Wrong - before.Wrong,
		Messages: c.Messages - before.Messages, Received: c.Received - before.Received, Sent: c.Sent - before.Sent,
		Pings: c.Pings - before.Pings,
	}
	for i := range d.Latency {
		d.Latency[i] = c.Latency[i] - before.Latency[i]
	}
	return d
}

// page is the memory that a program counts in.
type page struct {
	memory []byte
	path   string
}

func newPage(path string) (*page, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close() // The mapping outlives it.
	size := int(unsafe.Sizeof(Counters{}))
	if err := file.Truncate(int64(size)); err != nil {
		return nil, err
	}
	memory, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &page{memory: memory, path: path}, nil
}

// read returns the counters as they are now. Each is read whole, while the
// program goes on counting.
func (p *page) read() *Counters {
	c := &Counters{}
	words := unsafe.Slice((*uint64)(unsafe.Pointer(c)), len(p.memory)/8)                      // #nosec G103 -- Counters is nothing but words.
	shared := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(p.memory))), len(words)) // #nosec G103 -- A mapping is aligned to a page.
	for i := range words {
		words[i] = atomic.LoadUint64(&shared[i])
	}
	return c
}

func (p *page) close() {
	_ = syscall.Munmap(p.memory) // It was mapped.
	_ = os.Remove(p.path)        // It is in a directory that goes away.
}
