// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/binary"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// times are those of a connection, of which some may be absent.
type times [4]*timestamppb.Timestamp

func timesOf(c *dataplanev1alpha1.Connection) times {
	return times{c.GetConnectedAt(), c.GetLastActiveAt(), c.GetClosingSince(), c.GetEnd().GetAt()}
}

func (t times) into(c *dataplanev1alpha1.Connection) {
	c.ConnectedAt, c.LastActiveAt, c.ClosingSince = t[0], t[1], t[2]
	if end := c.GetEnd(); end != nil {
		end.At = t[3]
	}
}

// append writes them to the microsecond, each as the distance from the one before: as
// Timestamps they are most of what is to be said of a connection, and so a third of
// that. First comes a byte with a bit for each that is there.
func (t times) append(to []byte) []byte {
	at, last := len(to), int64(0)
	to = append(to, 0)
	for i, is := range t {
		if is == nil {
			continue
		}
		to[at] |= 1 << i
		now := is.AsTime().UnixMicro()
		to = binary.AppendVarint(to, now-last)
		last = now
	}
	return to
}

// takeTimes is the inverse of append, of what append wrote; rest is what follows it.
func takeTimes(from []byte) (t times, rest []byte) {
	there, rest, last := from[0], from[1:], int64(0)
	for i := range t {
		if there&(1<<i) == 0 {
			continue
		}
		distance, n := binary.Varint(rest)
		last, rest = last+distance, rest[n:]
		t[i] = timestamppb.New(time.UnixMicro(last))
	}
	return t, rest
}
