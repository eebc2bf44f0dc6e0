// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestFramesAreWhatGorillaReads writes frames of ours into a connection that
// gorilla has opened, in both directions, and has gorilla read them.
func TestFramesAreWhatGorillaReads(t *testing.T) {
	var key = [4]byte{0x12, 0x34, 0x56, 0x78}
	for _, size := range []int{0, 1, 5, 125, 126, 127, 65535, 65536, 70000} {
		for _, op := range []Opcode{Text, Binary} {
			payload := bytes.Repeat([]byte("x"), size)
			t.Run(fmt.Sprintf("%d bytes of opcode %d", size, op), func(t *testing.T) {
				for name, mask := range map[string]*[4]byte{"from a client": &key, "from a server": nil} {
					conn := gorillaReading(t, AppendFrame(nil, op, payload, mask), mask != nil)
					kind, got, err := conn.ReadMessage()
					if err != nil || kind != int(op) || !bytes.Equal(got, payload) {
						t.Errorf("%s: gorilla read %d bytes of kind %d, %v", name, len(got), kind, err)
					}
				}
			})
		}
	}
}

func TestControlFramesAreWhatGorillaReads(t *testing.T) {
	key := [4]byte{0xff, 0, 0xaa, 1}
	var frames []byte
	frames = AppendFrame(frames, Ping, []byte("ping"), &key)
	frames = AppendFrame(frames, Pong, nil, &key)
	frames = AppendFrame(frames, Close, AppendClose(nil, 1012, "restart"), &key)
	conn := gorillaReading(t, frames, true)
	var ping, pong string
	conn.SetPingHandler(func(s string) error { ping = s; return nil })
	conn.SetPongHandler(func(s string) error { pong = "pong" + s; return nil })
	conn.SetCloseHandler(func(int, string) error { return nil })
	_, _, err := conn.ReadMessage()
	if !websocket.IsCloseError(err, 1012) || ping != "ping" || pong != "pong" {
		t.Errorf("gorilla read ping %q, pong %q, %v", ping, pong, err)
	}
}

// FuzzAppendFrame compares AppendFrame with what gorilla writes.
func FuzzAppendFrame(f *testing.F) {
	f.Add(true, []byte("hello"))
	f.Add(false, bytes.Repeat([]byte{0}, 126))
	f.Fuzz(func(t *testing.T, text bool, payload []byte) {
		op := Binary
		if text {
			op = Text
		}
		var out bytes.Buffer
		server, err := upgrade(t, &pipe{in: &bytes.Buffer{}, out: &out})
		if err != nil {
			t.Fatal(err)
		}
		out.Reset() // the handshake
		if err := server.WriteMessage(int(op), payload); err != nil {
			t.Fatal(err)
		}
		if ours := AppendFrame(nil, op, payload, nil); !bytes.Equal(ours, out.Bytes()) {
			t.Errorf("gorilla wrote % x, we % x", out.Bytes()[:min(20, out.Len())], ours[:min(20, len(ours))])
		}
	})
}

// gorillaReading returns a gorilla connection, a server's or a client's, that
// reads the given bytes.
func gorillaReading(t *testing.T, frames []byte, server bool) *websocket.Conn {
	t.Helper()
	if server {
		conn, err := upgrade(t, &pipe{in: bytes.NewBuffer(frames), out: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.NetConn().Write(frames) // The reader finds out what is missing.
		_ = conn.Close()
	}))
	t.Cleanup(backend.Close)
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+backend.URL[len("http"):], nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// upgrade makes gorilla a server on a connection.
func upgrade(t *testing.T, sock *pipe) (*websocket.Conn, error) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-Websocket-Version", "13")
	r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	return (&websocket.Upgrader{}).Upgrade(&hijackable{ResponseRecorder: httptest.NewRecorder(), sock: sock}, r, nil)
}

// hijackable gives its socket away, as a server's response writer does.
type hijackable struct {
	*httptest.ResponseRecorder
	sock *pipe
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.sock, bufio.NewReadWriter(bufio.NewReader(h.sock), bufio.NewWriter(h.sock)), nil
}

// pipe is a connection that reads from and writes to memory.
type pipe struct {
	in  io.Reader
	out io.Writer
}

func (p *pipe) Read(b []byte) (int, error)       { return p.in.Read(b) }
func (p *pipe) Write(b []byte) (int, error)      { return p.out.Write(b) }
func (p *pipe) Close() error                     { return nil }
func (p *pipe) LocalAddr() net.Addr              { return nil }
func (p *pipe) RemoteAddr() net.Addr             { return nil }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }
