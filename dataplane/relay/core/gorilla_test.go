// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// FuzzHistoriesCrossAsIfDirect lets gorilla write a conversation on both sides,
// and gorilla read it, once directly and once through a connection that gets it in
// pieces. What both sides see is the same.
func FuzzHistoriesCrossAsIfDirect(f *testing.F) {
	f.Add(false, uint8(3), []byte("\x00a\x01b\x02c\x03d\x04e\x05f\x06g"), []byte("\x01hello\x00\x03\x07x"))
	f.Add(true, uint8(200), []byte("\x00aaaaaaaaaaaaaaaaaaaa\x01b\x02ccccc\x07"), []byte("\x03d\x04e"))
	f.Add(true, uint8(0), []byte{0, 255, 1, 254, 2, 253, 2, 100, 5, 9}, []byte{2, 250, 6, 40})
	f.Fuzz(func(t *testing.T, compressed bool, size uint8, fromClient, fromUpstream []byte) {
		said := [2][]byte{Client: write(t, Client, compressed, fromClient), Upstream: write(t, Upstream, compressed, fromUpstream)}
		h := openWith(t, Terms{Extensions: compressed}, nil)
		var heard [2][]byte
		rest := said
		for i := 0; len(rest[Client])+len(rest[Upstream]) > 0; i++ {
			from := bothSides[i%2]
			// Pieces of changing sizes, so that every place is an end of one.
			n := min(len(rest[from]), 1+(int(size)*(i+1)+i*i)%(int(size)+1))
			h.receive(from, rest[from][:n])
			rest[from] = rest[from][n:]
			for _, to := range bothSides {
				heard[to] = append(heard[to], h.written(to)...)
			}
		}
		for _, from := range bothSides {
			to := from.Other()
			direct, proxied := read(t, to, compressed, said[from]), read(t, to, compressed, heard[to])
			if !slices.Equal(direct, proxied) {
				t.Errorf("from the %s:\n  directly %.200q\n  proxied  %.200q", from, direct, proxied)
			}
		}
	})
}

// write lets gorilla say what a script asks for: pairs of what and how much.
func write(t *testing.T, from Side, compressed bool, script []byte) []byte {
	t.Helper()
	conn, out := gorilla(t, from, compressed, nil)
	for pair := range slices.Chunk(script, 2) {
		what, n := pair[0]%8, 0
		if len(pair) > 1 {
			n = int(pair[1])
		}
		payload := bytes.Repeat([]byte{'a' + byte(n%26), byte(n)}, n*n/8)
		var err error
		switch what {
		case 0:
			err = conn.WriteMessage(websocket.TextMessage, bytes.ToValidUTF8(payload, nil))
		case 1, 2:
			err = conn.WriteMessage(websocket.BinaryMessage, payload)
		case 3:
			err = conn.WriteControl(websocket.PingMessage, payload[:min(len(payload), 125)], time.Time{})
		case 4:
			err = conn.WriteControl(websocket.PongMessage, payload[:min(len(payload), 125)], time.Time{})
		case 5, 6:
			// In fragments: what is larger than gorilla's buffer.
			var w io.WriteCloser
			if w, err = conn.NextWriter(websocket.BinaryMessage); err == nil {
				for part := range slices.Chunk(payload, n+1) {
					_, err = w.Write(part)
				}
				err = errors.Join(err, w.Close())
			}
		case 7:
			codes := []int{1000, 1001, 1008, 1011, 1012, 3000, 4999, websocket.CloseNoStatusReceived}
			err = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(codes[n%len(codes)], "because"), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// read lets gorilla tell what it hears.
func read(t *testing.T, side Side, compressed bool, stream []byte) (heard []string) {
	t.Helper()
	conn, _ := gorilla(t, side, compressed, stream)
	conn.SetPingHandler(func(s string) error { heard = append(heard, "ping "+s); return nil })
	conn.SetPongHandler(func(s string) error { heard = append(heard, "pong "+s); return nil })
	conn.SetCloseHandler(func(int, string) error { return nil })
	for {
		kind, message, err := conn.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok && closed.Code != websocket.CloseAbnormalClosure {
			return append(heard, fmt.Sprintf("close %d %s", closed.Code, closed.Text))
		} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || ok {
			return append(heard, "end")
		} else if err != nil {
			return append(heard, "violation "+err.Error())
		}
		heard = append(heard, fmt.Sprintf("message %d %q", kind, message))
	}
}

// FuzzWhatIsNoWebSocketIsThatForGorillaToo compares the judgement on bytes of
// anybody: a side of the connection hears what gorilla would have understood, up
// to where gorilla would have given up.
func FuzzWhatIsNoWebSocketIsThatForGorillaToo(f *testing.F) {
	for _, from := range bothSides {
		f.Add(from == Client, uint8(3), conversation(from))
		for _, bad := range violations(from) {
			f.Add(from == Client, uint8(7), slices.Concat(text(from, "before"), bad))
			f.Add(from == Client, uint8(0), slices.Concat(begin(from, "before"), ping(from, "x"), bad))
		}
	}
	f.Fuzz(func(t *testing.T, client bool, size uint8, stream []byte) {
		from := Upstream
		if client {
			from = Client
		}
		// Both judge a header when it is whole, or do not: what follows makes it so.
		stream = slices.Concat(stream, make([]byte, 2*wire.MaxHeader))
		h := open(t, nil)
		var out []byte
		for part := range slices.Chunk(stream, int(size)+1) {
			h.receive(from, part)
			out = append(out, h.written(from.Other())...)
		}
		switch end := h.End(); {
		case end.Reason == "frame length not in its shortest form", end.Reason == "close frame with half a code", end.Code == wire.CloseBadGateway:
			return // gorilla takes the first two (RFC 6455 sections 5.2 and 5.5.1) and knows no 1014.
		}
		direct, proxied := read(t, from.Other(), false, stream), read(t, from.Other(), false, out)
		if n := len(direct); n > 0 && bytes.HasPrefix([]byte(direct[n-1]), []byte("violation ")) {
			if h.End().Cause != CauseProtocolError {
				t.Fatalf("gorilla says %q, the end is %+v", direct[n-1], h.End())
			}
			want := map[Side]string{Client: "close 1001 client: ", Upstream: "close 1011 upstream: "}[from]
			if m := len(proxied); m == 0 || proxied[m-1] != "end" && !bytes.HasPrefix([]byte(proxied[m-1]), []byte(want)) {
				t.Fatalf("the other side is told %q", proxied)
			}
			direct, proxied = direct[:n-1], proxied[:len(proxied)-1]
		} else if h.End().Cause == CauseProtocolError {
			t.Fatalf("gorilla has nothing against it, the end is %+v", h.End())
		}
		if !slices.Equal(direct, proxied) {
			t.Errorf("directly %.200q\nproxied  %.200q", direct, proxied)
		}
	})
}

// gorilla returns gorilla's connection of a side, which reads from a stream, and
// what it writes.
func gorilla(t *testing.T, side Side, compressed bool, stream []byte) (*websocket.Conn, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	sock := &memory{in: bytes.NewReader(stream), out: &out}
	if side == Client {
		dialer := websocket.Dialer{
			EnableCompression: compressed, ReadBufferSize: 256, WriteBufferSize: 256,
			NetDial: func(string, string) (net.Conn, error) { return &answering{memory: sock, compressed: compressed}, nil },
		}
		conn, _, err := dialer.DialContext(t.Context(), "ws://upstream/", nil)
		if err != nil {
			t.Fatal(err)
		}
		out.Reset() // of the handshake
		return conn, &out
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-Websocket-Version", "13")
	r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	r.Header.Set("Sec-Websocket-Extensions", "permessage-deflate")
	upgrader := websocket.Upgrader{EnableCompression: compressed, ReadBufferSize: 256, WriteBufferSize: 256}
	conn, err := upgrader.Upgrade(&hijack{ResponseRecorder: httptest.NewRecorder(), sock: sock}, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	return conn, &out
}

// memory is a socket that reads from a stream and keeps what is written.
type memory struct {
	in  io.Reader
	out *bytes.Buffer
}

func (m *memory) Read(b []byte) (int, error)       { return m.in.Read(b) }
func (m *memory) Write(b []byte) (int, error)      { return m.out.Write(b) }
func (m *memory) Close() error                     { return nil }
func (m *memory) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (m *memory) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (m *memory) SetDeadline(time.Time) error      { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }

// answering is one that answers the handshake first.
type answering struct {
	*memory
	compressed bool
	answer     io.Reader
}

func (a *answering) Read(b []byte) (int, error) {
	if a.answer == nil {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(a.out.Bytes())))
		if err != nil {
			return 0, err
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
		if a.compressed {
			answer += "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
		}
		a.answer = io.MultiReader(strings.NewReader(answer+"\r\n"), a.in)
	}
	return a.answer.Read(b)
}

// hijack is a response whose socket can be taken.
type hijack struct {
	*httptest.ResponseRecorder
	sock *memory
}

func (h *hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.sock, bufio.NewReadWriter(bufio.NewReader(h.sock), bufio.NewWriter(h.sock)), nil
}
