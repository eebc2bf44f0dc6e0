// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import "github.com/wsproxy/wsproxy/dataplane/relay/wire"

// skim goes over the messages at the start of p as long as each is one frame that
// came whole, may stand where it does and has not more than most bytes of payload. It
// returns how many bytes and messages it went over. Most of what is small and comes
// in numbers it skims; what everything else is, its callers find out.
func skim(p []byte, where places, most uint64) (n int, messages uint64) {
	for n+4 <= len(p) {
		first := uint32(p[n])<<24 | uint32(p[n+1])<<16 | uint32(p[n+2])<<8 | uint32(p[n+3])
		kind, payload, whole, ok := wire.Glance(first)
		if !ok || ordinary[kind]&where == 0 || whole > len(p)-n || uint64(payload) > most {
			break
		}
		n += whole
		messages++
	}
	return n, messages
}

// skim goes over messages that came from a side and that are only to be checked and
// counted. It returns the number of their bytes.
//
// A frame of ours that waits, waits for the end of a frame of the peer's or for a
// write; between two messages there is none that would be late now.
func (c *Conn) skim(from Side, p []byte) int {
	in := &c.legs[from].in
	if in.fragmented || c.rated(from) || from == Client && c.collects() {
		return 0
	}
	n, messages := skim(p, placeOf(from, c.extensions), c.mostBytes())
	in.messages += messages
	return n
}

// places is a set of places where a message may come.
type places uint8

const anywhere = ^places(0)

// placeOf returns one place: from a side, with extensions or without.
func placeOf(from Side, extensions bool) places {
	if extensions {
		return 4 << from
	}
	return 1 << from
}

// ordinary says of each kind of frame where it is a message of its own. It is made by
// the rules that hold for all frames, and so cannot differ from them.
var ordinary = func() (all [wire.Kinds]places) {
	for kind := range all {
		h, _, err := wire.ParseHeader(wire.Kind(kind).Empty())
		if err != nil || h.Opcode.Control() || !h.Fin {
			continue
		}
		for _, extensions := range []bool{false, true} {
			for _, from := range []Side{Client, Upstream} {
				if check(h, from, extensions, false) == nil {
					all[kind] |= placeOf(from, extensions)
				}
			}
		}
	}
	return all
}()
