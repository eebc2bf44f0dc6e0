// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// raw is a proxy between two sockets whose every byte a test says and sees.
type raw struct {
	*proxy
	client, upstream *net.TCPConn
}

// startRaw opens one connection through a proxy.
func startRaw(t *testing.T, change func(*dataplanev1alpha1.Snapshot)) *raw {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
				handshake.AcceptOf(r.Header.Get("Sec-Websocket-Key")))
		}
		accepted <- conn
	}()
	snap := snapshot("ws://" + listener.Addr().String())
	if change != nil {
		change(snap)
	}
	r := &raw{proxy: startProxy(t, snap)}
	r.client = deafClient(t, r.url).(*net.TCPConn)
	r.upstream = (<-accepted).(*net.TCPConn)
	t.Cleanup(func() { _ = r.upstream.Close() })
	for _, sock := range []net.Conn{r.client, r.upstream} {
		_ = sock.SetDeadline(time.Now().Add(patience))
	}
	return r
}

// sockets returns the socket of a side, and that of the other one.
func (r *raw) sockets(side string) (from, to *net.TCPConn) {
	if side == "client" {
		return r.client, r.upstream
	}
	return r.upstream, r.client
}

// frameOf builds a frame as the peer of a side sends it.
func frameOf(side string, fin bool, op wire.Opcode, payload string) []byte {
	h := wire.Header{Fin: fin, Opcode: op, Length: uint64(len(payload))}
	p := []byte(payload)
	if side == "client" {
		h.Masked, h.Key = true, [4]byte{1, 2, 3, 4}
		wire.Mask(h.Key, p)
	}
	return append(wire.AppendHeader(nil, h), p...)
}

// heard reads a socket to its end: the frames as text, and how it ended.
func heard(sock io.Reader) (frames []string, end string) {
	return heardAnd(sock, func() {})
}

// heardAnd is heard that calls answer when there is a close frame.
func heardAnd(sock io.Reader, answer func()) (frames []string, end string) {
	var stream []byte
	buffer := make([]byte, 4096)
	for answered := false; end == ""; {
		n, err := sock.Read(buffer)
		stream = append(stream, buffer[:n]...)
		frames = framesOf(stream)
		if !answered && len(frames) > 0 && strings.HasPrefix(frames[len(frames)-1], "close ") {
			answered = true
			answer()
		}
		switch {
		case errors.Is(err, io.EOF):
			end = "fin"
		case errors.Is(err, syscall.ECONNRESET):
			end = "reset"
		case err != nil:
			end = err.Error()
		}
	}
	return frames, end
}

// framesOf reads frames.
func framesOf(stream []byte) (frames []string) {
	for len(stream) > 0 {
		h, n, err := wire.ParseHeader(stream)
		if err != nil || uint64(len(stream)-n) < h.Length {
			return append(frames, fmt.Sprintf("part of %q", stream))
		}
		payload := slices.Clone(stream[n : n+int(h.Length)])
		stream = stream[n+len(payload):]
		if h.Masked {
			wire.Mask(h.Key, payload)
		}
		if h.Opcode != wire.Close {
			frames = append(frames, fmt.Sprintf("%d %v %s", h.Opcode, h.Fin, payload))
			continue
		}
		code, reason, err := wire.ParseClose(payload)
		frames = append(frames, fmt.Sprintf("close %d %s", code, reason))
		if err != nil {
			frames = append(frames, err.Error())
		}
	}
	return frames
}

// ended waits until the connection is gone, and checks how it is counted.
func (r *raw) ended(by, cause string) {
	r.t.Helper()
	eventually(r.t, "it is gone", func() bool { return r.registry.Len() == 0 })
	scrape := httptest.NewRecorder()
	r.server.Metrics.Handler().ServeHTTP(scrape, httptest.NewRequestWithContext(r.t.Context(), http.MethodGet, "/metrics", nil))
	var counted []string
	for line := range strings.Lines(scrape.Body.String()) {
		if strings.HasPrefix(line, "wsproxy_connections_closed_total{") && !strings.HasSuffix(line, " 0\n") {
			counted = append(counted, strings.TrimSpace(line))
		}
	}
	want := fmt.Sprintf("wsproxy_connections_closed_total{by=%q,cause=%q} 1", by, cause)
	if !slices.Contains(core.Enders[core.Cause(cause)], core.By(by)) {
		r.t.Errorf("%s is not known to end connections because of %s", by, cause)
	}
	if !slices.Equal(counted, []string{want}) {
		r.t.Errorf("counted %q, want %q", counted, want)
	}
}
