// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

// errForeign is the error for a message that no connection of a fleet can have
// sent as it is: damaged on the way, or somebody else's.
var errForeign = errors.New("not a message of ours")

// message is what a connection says. Its payload can be told from every other
// message's of the fleet, and checked without keeping it.
type message struct {
	// connection is the number of the connection that sent it.
	connection int
	// sequence counts the messages of the connection from 0.
	sequence uint64
	// sent is the time since the start of the fleet.
	sent time.Duration
}

// kind alternates between text and binary, so that a relay which mistakes one
// for the other is found.
func (m message) kind() int {
	if m.sequence%2 == 0 {
		return websocket.TextMessage
	}
	return websocket.BinaryMessage
}

// payload returns "<connection> <sequence> <sent> " and letters that fill it up
// to size bytes and depend on the sequence, so that a payload which is cut, or
// put together from two, is found.
func (m message) payload(size int) []byte {
	p := fmt.Appendf(make([]byte, 0, max(size, 64)), "%d %d %d ", m.connection, m.sequence, m.sent.Nanoseconds())
	for len(p) < size {
		p = append(p, m.letter(len(p)))
	}
	return p
}

func (m message) letter(at int) byte {
	return 'a' + byte((m.sequence+uint64(at))%26) // #nosec G115 -- at is an index, never negative.
}

// parse reads the payload of a message that was sent with the given size.
// Errors: errForeign where it is not exactly what payload made.
func parse(kind int, payload []byte, size int) (message, error) {
	var m message
	fields := bytes.SplitN(payload, []byte(" "), 4)
	if len(fields) != 4 {
		return m, errForeign
	}
	var sent int64
	var errs [3]error
	m.connection, errs[0] = strconv.Atoi(string(fields[0]))
	m.sequence, errs[1] = strconv.ParseUint(string(fields[1]), 10, 64)
	sent, errs[2] = strconv.ParseInt(string(fields[2]), 10, 64)
	if errors.Join(errs[:]...) != nil {
		return m, errForeign
	}
	m.sent = time.Duration(sent)
	if m.kind() != kind || !bytes.Equal(payload, m.payload(size)) {
		return m, errForeign
	}
	return m, nil
}
