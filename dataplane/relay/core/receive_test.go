// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkReceive passes on what a worker reads at once of a flood. An operation is
// one frame.
func BenchmarkReceive(b *testing.B) {
	for _, from := range bothSides {
		for _, size := range []int{64, 200, 2000} {
			for _, autoReconnect := range []bool{false, true} {
				b.Run(fmt.Sprintf("from=%s/size=%d/autoReconnect=%v", from, size, autoReconnect), func(b *testing.B) {
					h := open(b, func(s *Settings) { s.AutoReconnect = autoReconnect })
					frame := text(from, strings.Repeat("x", size))
					many := bytes.Repeat(frame, 256<<10/len(frame)+1)[:256<<10]
					rest := len(many) % len(frame)
					b.SetBytes(int64(len(frame)))
					for n := 0; n < b.N; n += len(many) / len(frame) {
						h.Receive(h.now, from, many)
						h.Wrote(h.now, from.Other(), written(h.Take(from.Other())), false)
						h.Receive(h.now, from, frame[rest:])
						h.Wrote(h.now, from.Other(), written(h.Take(from.Other())), false)
					}
					if h.Phase() != Open {
						b.Fatal(h.End())
					}
				})
			}
		}
	}
}

func written(batch [][]byte) (n int) {
	for _, b := range batch {
		n += len(b)
	}
	return n
}
