// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"net/http"
	"strings"
	"unique"
)

// Kept is a Head as it is kept with a connection, because a connection may need
// another upstream at any time and mostly never does: the same in a tenth of the
// memory. What Reconnect makes anew is not in it, nor the name of the connection.
//
// It has a line for each header field: a byte below 0x20 that stands for a name, or
// the name and a colon, and the value. None of these can contain a line feed, so
// the encoding is exact. The zero Kept is that of no head.
type Kept struct {
	// shared has what many clients say in the same words, and is kept once for all
	// of them: a line for the host, and the fields that are sharedNames.
	shared unique.Handle[string]
	// own has a line for the request target, and the other fields.
	own string
}

// keptNames are the names that stand as one byte, by which most heads shrink by
// half. The byte is the index and one, so neither 0x00 nor "\n" may come of it.
// Those before the gap are said in the same words by many clients; the others are
// each client's, or come with each request.
var keptNames = [...]string{
	"User-Agent", "Origin", "Accept-Encoding", "Accept-Language", "Cache-Control", "Pragma", "Accept", "Dnt", headerVersion, "",
	"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", headerForwardedProto, headerForwardedHost, headerForwardedPort,
	"Cookie", "Authorization", headerForwarded, headerForwardedFor, "X-Request-Id", "Traceparent",
}

// keptIndex has where each of them is.
var keptIndex = func() map[string]int {
	index := map[string]int{}
	for i, name := range keptNames {
		index[name] = i
	}
	return index
}()

// sharedNames is how many of keptNames are said in the same words by many clients.
const sharedNames = 16

// noContextTakeover marks a Kept whose Head says so.
const noContextTakeover = "\x00"

// Keep returns what is to be kept of a head.
func (h *Head) Keep() Kept {
	var b strings.Builder
	b.Grow(h.Size())
	if h.NoContextTakeover {
		b.WriteString(noContextTakeover)
	}
	b.WriteString(h.Host + "\n")
	for i, name := range keptNames[:sharedNames] { // in this order, so that it is the same
		for _, value := range h.Header[name] {
			keepField(&b, i, name, value)
		}
	}
	shared := b.Len()
	b.WriteString(h.RequestURI + "\n")
	for name, values := range h.Header {
		switch name {
		case headerKey, headerProtocol, headerExtensions, HeaderConnectionID:
			continue
		}
		i, known := keptIndex[name]
		if !known {
			i = -1
		} else if i < sharedNames {
			continue
		}
		for _, value := range values {
			keepField(&b, i, name, value)
		}
	}
	all := b.String()
	// A copy, which is as large as it has to be; unique.Make takes one by itself.
	return Kept{unique.Make(all[:shared]), strings.Clone(all[shared:])}
}

// keepField writes a field whose name is that of an index, or of none.
func keepField(to *strings.Builder, index int, name, value string) {
	if index >= 0 {
		to.WriteByte(byte(index + 1))
	} else {
		to.WriteString(name)
		to.WriteByte(':')
	}
	to.WriteString(value)
	to.WriteByte('\n')
}

// Size is how many bytes of memory it may take. What is shared counts in full for
// each: nothing makes clients say the same, and the last of them still has it.
func (k Kept) Size() int {
	if k == (Kept{}) {
		return 0
	}
	return len(k.shared.Value()) + len(k.own)
}

// Share returns the same text, which needs no memory of its own where the request
// target begins with it.
func (k Kept) Share(path string) string {
	if strings.HasPrefix(k.own, path) {
		return k.own[:len(path)]
	}
	return path
}

// Head returns the head that was kept of the connection with that name.
func (k Kept) Head(id string) *Head {
	shared, marked := strings.CutPrefix(k.shared.Value(), noContextTakeover)
	h := &Head{Header: http.Header{HeaderConnectionID: {id}}, NoContextTakeover: marked}
	var own string
	h.Host, shared, _ = strings.Cut(shared, "\n")
	h.RequestURI, own, _ = strings.Cut(k.own, "\n")
	for _, fields := range [...]string{shared, own} {
		for field := range strings.Lines(fields) {
			field = strings.TrimSuffix(field, "\n")
			var name, value string
			if i := int(field[0]); i <= len(keptNames) {
				name, value = keptNames[i-1], field[1:]
			} else {
				name, value, _ = strings.Cut(field, ":")
			}
			h.Header[name] = append(h.Header[name], value)
		}
	}
	return h
}
