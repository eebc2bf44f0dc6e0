// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Refusal is an answer of ours to a handshake that is not accepted.
type Refusal struct {
	// Status is the status code, 400 or higher.
	Status int
	// Reason is why, for log and metrics.
	Reason Reason
	// Header is what the answer carries besides what Write and WriteTo add:
	// Content-Type, Content-Length, Cache-Control and X-Content-Type-Options.
	Header http.Header
	// Body is one short line of plain text.
	Body string
}

// Refuse returns a refusal that says why.
func Refuse(status int, reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Reason: reason, Header: http.Header{}, Body: fmt.Sprintf(format, args...)}
}

// RefuseFor returns a refusal that tells the client when to come again: after
// the duration, rounded up to seconds, at least one.
func RefuseFor(status int, reason Reason, after time.Duration, format string, args ...any) *Refusal {
	refusal := Refuse(status, reason, format, args...)
	seconds := max(1, int64((after+time.Second-1)/time.Second))
	refusal.Header.Set("Retry-After", strconv.FormatInt(seconds, 10))
	return refusal
}

// Error makes a refusal an error, for those who pass it on.
func (r *Refusal) Error() string {
	return fmt.Sprintf("handshake refused with %d: %s", r.Status, r.Body)
}

// writeTimeout is how long a client may take to receive a refusal.
const writeTimeout = 10 * time.Second

// Write answers a request of net/http's server, which resets the deadline that
// is set here.
func (r *Refusal) Write(w http.ResponseWriter) {
	// A client that sends requests and reads no answers would wait here for ever.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	maps.Copy(w.Header(), r.header())
	w.WriteHeader(r.Status)
	// An error means that the client is gone, and there is nobody else to tell.
	_, _ = io.WriteString(w, r.text())
}

// WriteTo answers on a connection that was taken from net/http's server, and
// says that the connection ends; the caller closes it.
func (r *Refusal) WriteTo(w io.Writer) (int64, error) {
	header := r.header()
	// Both options stand in one field: 426 needs Upgrade, and the connection ends.
	if header.Get("Connection") != "" {
		header.Set("Connection", header.Get("Connection")+", close")
	} else {
		header.Set("Connection", "close")
	}
	b := append(AppendResponseHead(nil, r.Status, "", header), r.text()...)
	return bytes.NewReader(b).WriteTo(w)
}

func (r *Refusal) header() http.Header {
	header := maps.Clone(r.Header)
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(r.text())))
	// The text may repeat what the client sent.
	header.Set("X-Content-Type-Options", "nosniff")
	// A 404 may be cached without being asked (RFC 9111 section 4.2.2), and would
	// outlive the next change of spec.listen.paths.
	header.Set("Cache-Control", "no-store")
	return header
}

func (r *Refusal) text() string { return r.Body + "\n" }
