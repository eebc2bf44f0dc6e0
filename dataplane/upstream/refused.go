// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// bodyTimeout bounds the time in which the body of a refusal must have been
// passed on. connectTimeout does not cover it: the answer is there.
const bodyTimeout = 30 * time.Second

// Refused is an answer of the upstream other than 101. Who gets it passes it on
// or closes it.
type Refused struct {
	// Address is the upstream's IP address and port.
	Address string
	// Status is the status code, 200 or higher.
	Status int
	// Reason is the reason phrase.
	Reason string
	// Header is the header as it was received.
	Header http.Header
	// Body is streamed from the upstream. It ends with an error 30 s after the
	// answer came, and when the context of the attempt is cancelled.
	Body io.ReadCloser
	// ContentLength is the length of Body; -1: unknown.
	ContentLength int64
}

// Error names the status and the address.
func (r *Refused) Error() string {
	return fmt.Sprintf("handshake %s: the upstream answered %d %s", r.Address, r.Status, r.Reason)
}

// Close ends the connection to the upstream.
func (r *Refused) Close() { _ = r.Body.Close() }

// PassedHeader is the header as the client gets it: without what concerns the
// upstream's connection only. A 426 keeps its Upgrade, which it cannot do without
// (RFC 9110 section 15.5.22) and which is as true for the client.
func (r *Refused) PassedHeader() http.Header {
	header := r.Header.Clone()
	handshake.RemoveHopByHop(header)
	// The length is what net/http has made of it.
	header.Del("Content-Length")
	if r.ContentLength >= 0 && r.hasBody() {
		header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	if upgrade := r.Header["Upgrade"]; r.Status == http.StatusUpgradeRequired && len(upgrade) > 0 {
		header["Upgrade"] = upgrade
		header.Set("Connection", "Upgrade")
	}
	return header
}

// Write passes the answer on to a request of net/http's server, and closes it.
// After an error the client has got a part only: panic with
// http.ErrAbortHandler, so that it can tell.
func (r *Refused) Write(w http.ResponseWriter) error {
	defer r.Close()
	// A client that does not read would hold all of this for as long as it likes.
	// Where w knows no deadlines, its owner has to see to that.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(bodyTimeout))
	header := r.PassedHeader()
	// net/http adds these where they are missing; nil forbids it.
	for _, name := range []string{"Date", "Content-Type"} {
		if _, ok := header[name]; !ok {
			header[name] = nil
		}
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(r.Status)
	// The answer must not be lost with a body that breaks off. Where w cannot
	// flush, the head goes with the body.
	_ = http.NewResponseController(w).Flush()
	if _, err := io.Copy(w, r.Body); err != nil {
		return fmt.Errorf("pass on the upstream's answer: %w", err)
	}
	return nil
}

// WriteTo passes the answer on over a connection that was taken from net/http's
// server, and closes the answer. It says that the client's connection ends; the
// caller closes that, also after an error, from which the client can tell that a
// part is missing.
func (r *Refused) WriteTo(w io.Writer) (int64, error) {
	defer r.Close()
	header := r.PassedHeader()
	header.Add("Connection", "close")
	chunked := r.ContentLength < 0 && r.hasBody()
	if chunked {
		header.Set("Transfer-Encoding", "chunked")
	}
	n, err := bytes.NewReader(handshake.AppendResponseHead(nil, r.Status, r.Reason, header)).WriteTo(w)
	if err != nil {
		return n, err
	}
	m, err := r.writeBody(w, chunked)
	if err != nil {
		return n + m, fmt.Errorf("pass on the upstream's answer: %w", err)
	}
	return n + m, nil
}

// hasBody is false for the statuses that never have one, nor a length of it (RFC
// 9110 sections 15.3.5 and 15.4.5).
func (r *Refused) hasBody() bool {
	return r.Status != http.StatusNoContent && r.Status != http.StatusNotModified
}

func (r *Refused) writeBody(w io.Writer, chunked bool) (int64, error) {
	if !chunked {
		return io.Copy(w, r.Body)
	}
	chunks := httputil.NewChunkedWriter(w)
	n, err := io.Copy(chunks, r.Body)
	if err != nil {
		return n, err
	}
	if err := chunks.Close(); err != nil {
		return n, err
	}
	_, err = io.WriteString(w, "\r\n") // There are no trailers.
	return n, err
}

// What is kept of an answer that is the client's only if no later attempt gets
// another one.
const (
	keepBytes   = 64 << 10
	keepTimeout = time.Second
)

// keep reads the body, so that the connection to the upstream need not wait for
// the next attempts. A body that is larger than 64 KiB, or not there within a
// second, is given up, and the answer goes without one.
func (r *Refused) keep() {
	defer r.Close()
	if body, ok := r.Body.(*body); ok {
		body.within(keepTimeout)
	}
	kept, err := io.ReadAll(io.LimitReader(r.Body, keepBytes+1))
	r.Close()
	if err != nil || len(kept) > keepBytes {
		kept = nil
		r.Header.Del("Content-Encoding")
		r.Header.Del("Content-Type")
	}
	r.ContentLength = int64(len(kept))
	r.Body = io.NopCloser(bytes.NewReader(kept))
}
