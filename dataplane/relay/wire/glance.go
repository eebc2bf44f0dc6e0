// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

// Kind is what a header says beside the length of the payload and the key: its
// first byte, and the mask bit.
type Kind uint16

// Kinds is the number of them.
const Kinds = 1 << 9

// Empty returns an empty frame of this kind; its key, if it has one, is zero.
func (k Kind) Empty() []byte {
	frame := []byte{byte(k >> 1), byte(k << 7), 0, 0, 0, 0}
	return frame[:2+4*(k&1)]
}

// Glance returns, from the first four bytes of a frame, its kind, and the sizes in
// bytes of its payload and of the whole. It is for those who pass many small frames on
// and judge each by its kind: it costs a tenth of ParseHeader, and where it says
// anything says the same. It returns false where ParseHeader has to be asked, because
// the length has 64 bits or is not in its shortest form.
func Glance(first uint32) (kind Kind, payload, whole int, ok bool) {
	kind = Kind(first >> 23)
	payload, whole = int(first>>16&lenBits), 2+4*int(kind&1)
	if payload > 125 {
		ok = payload == 126
		payload = int(first & 0xffff)
		return kind, payload, whole + 2 + payload, ok && payload > 125
	}
	return kind, payload, whole + payload, true
}
