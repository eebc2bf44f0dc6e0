// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"math/bits"
	"time"
)

// delays counts how long echoes took. Its buckets double from 128 µs on: fine
// enough to tell a pause of the proxy from the noise of a busy machine, and small
// enough for one per connection.
type delays struct {
	buckets [24]uint64
	count   uint64
	longest time.Duration
}

const firstBucket = 128 * time.Microsecond

func (d *delays) add(delay time.Duration) {
	bucket := bits.Len64(uint64(max(delay, 0) / firstBucket)) // #nosec G115 -- not negative.
	d.buckets[min(bucket, len(d.buckets)-1)]++
	d.count++
	d.longest = max(d.longest, delay)
}

func (d *delays) merge(other *delays) {
	for i, n := range other.buckets {
		d.buckets[i] += n
	}
	d.count += other.count
	d.longest = max(d.longest, other.longest)
}

// quantile returns a time that at least the share q (0 to 1) of the echoes did
// not exceed, at most twice the true one; 0 where there is no echo.
func (d *delays) quantile(q float64) time.Duration {
	wanted := uint64(q * float64(d.count))
	var seen uint64
	for i, n := range d.buckets {
		seen += n
		if seen >= wanted && seen > 0 {
			return min(firstBucket<<i, d.longest)
		}
	}
	return d.longest
}
