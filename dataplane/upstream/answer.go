// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
)

// headLimit bounds the head of an upstream's answer, with all 1xx before it and
// the few bytes that were read behind it.
const headLimit = 64 << 10

// answerReader reads the answer of an upstream. While it reads the head, it
// keeps what it has read, and gives up at headLimit.
type answerReader struct {
	conn net.Conn
	// before is what was read of it before; it comes first.
	before []byte
	head   []byte
	inBody bool
}

// errHeadTooLarge ends the reading of a head.
var errHeadTooLarge = fmt.Errorf("%w: its head has more than %d bytes", ErrBadAnswer, headLimit)

func (a *answerReader) Read(p []byte) (int, error) {
	if a.inBody {
		return a.read(p)
	}
	if len(a.head) >= headLimit {
		return 0, errHeadTooLarge
	}
	n, err := a.read(p[:min(len(p), headLimit-len(a.head))])
	a.head = append(a.head, p[:n]...)
	return n, err
}

func (a *answerReader) read(p []byte) (int, error) {
	if len(a.before) == 0 {
		return a.conn.Read(p)
	}
	n := copy(p, a.before)
	a.before = a.before[n:]
	return n, nil
}

// response reads the first response that is 101 or not informational (RFC 9110
// section 15.2: a client must be able to take 1xx that it did not ask for). What
// came behind its head is in the returned reader.
func (a *answerReader) response() (*http.Response, *bufio.Reader, error) {
	r := bufio.NewReader(a)
	for {
		// An upstream that ends before it says a word has not answered at all.
		if _, err := r.Peek(1); err != nil {
			return nil, nil, noEOF(err)
		}
		begin := len(a.head) - r.Buffered()
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			return nil, nil, badAnswer(err)
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			restoreConnection(response, a.head[begin:len(a.head)-r.Buffered()])
			a.head, a.inBody = nil, true
			return response, r, nil
		}
	}
}

// restoreConnection puts the Connection fields back into the header, from which
// http.ReadResponse removes them where they say close: the fields that they name
// would be passed on to the client.
func restoreConnection(response *http.Response, head []byte) {
	if !response.Close {
		return
	}
	_, lines, _ := bytes.Cut(head, []byte("\n"))
	// It has been parsed in the same way before, so there is no error.
	header, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(lines))).ReadMIMEHeader()
	if connection, ok := header["Connection"]; ok {
		response.Header["Connection"] = connection
	}
}

// badAnswer tells an answer that is broken from one that broke off.
func badAnswer(err error) error {
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, ErrBadAnswer) {
		return noEOF(err)
	}
	return fmt.Errorf("%w: %w", ErrBadAnswer, err)
}

// noEOF makes an end before the end of the head unexpected.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
