// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package native

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/wsproxy/wsproxy/hack/bench/proc"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "native")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built.dir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir) // It is a temporary one.
		os.Exit(code)
	}))
}

// built is what all tests share: a compiler takes longer than they do.
var built struct {
	sync.Once
	dir      string
	programs Programs
	err      error
}

func build(t *testing.T) Programs {
	t.Helper()
	if _, err := Compiler(); err != nil {
		t.Skip(err)
	}
	built.Do(func() { built.programs, built.err = Build(t.Context(), built.dir) })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.programs
}

// freePort returns a port of loopback that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// await waits until somebody listens on a port.
func await(t *testing.T, g *proc.Group, port int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(g.Ended())
		}
	}
}

func startBackend(t *testing.T, p Programs) (*Backend, int) {
	t.Helper()
	port := freePort(t)
	backend, err := p.StartBackend(t.Context(), t.TempDir(), "127.0.0.1", port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Stop)
	await(t, backend.Group, port)
	return backend, port
}

func startLoad(t *testing.T, p Programs) *Load {
	t.Helper()
	load, err := p.StartLoad(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(load.Stop)
	return load
}

// must ends the test at the first error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits until a counter says what is awaited.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never happened", what)
		}
	}
}

func TestTheRelayPassesEverythingOn(t *testing.T) {
	p := build(t)
	for _, mode := range []string{"copy", "splice"} {
		t.Run(mode, func(t *testing.T) {
			backend, up := startBackend(t, p)
			port := freePort(t)
			relay, err := proc.Start(t.Context(), proc.Command{
				Args: []string{p.Relay, mode, "127.0.0.1", strconv.Itoa(port), "127.0.0.1", strconv.Itoa(up), "2"}, Log: t.TempDir() + "/log",
			})
			must(t, err)
			t.Cleanup(relay.Stop)
			await(t, relay, port)
			load := startLoad(t, p)
			to := Target{Host: "127.0.0.1", Port: port, Path: "/", Parallel: 8, Head: 2048}
			// A megabyte fits into no socket's buffer.
			must(t, load.Open(to, 50), load.Say(16), load.Say(125), load.Say(126), load.Say(65535), load.Say(1<<20), load.Talk(128))
			eventually(t, "1,000 round trips", func() bool { return load.Counters().Messages > 1000 })
			must(t, load.Quiet(), load.Rate(64, 2000))
			before := load.Counters()
			eventually(t, "100 messages at a rate", func() bool { return load.Counters().Messages > before.Messages+100 })
			must(t, load.Quiet(), load.Healthy(), load.Close(), load.Healthy())
			if c := load.Counters(); c.Cycles != 50 || c.Open != 0 || c.Latency.Quantile(0.5) == 0 {
				t.Errorf("after the close: %+v", *c)
			}

			must(t, load.Churn(to))
			eventually(t, "200 handshakes", func() bool { return load.Counters().Cycles > 250 })
			must(t, load.Quiet(), load.Healthy())

			to.Path = "/source/64"
			must(t, load.Open(to, 4), load.Go())
			before = load.Counters()
			eventually(t, "a megabyte down", func() bool { return load.Counters().Received > before.Received+1<<20 })
			must(t, load.Reset())
			to.Path = "/sink"
			must(t, load.Open(to, 4), load.Flood(65536))
			sunk := backend.Counters()
			eventually(t, "a megabyte up", func() bool { return backend.Counters().Received > sunk.Received+1<<20 })
			must(t, load.Reset(), load.Healthy())

			to.Path, to.ReceiveBuffer = "/source/65536", 4096
			must(t, load.Open(to, 4), load.Stall(), load.Go())
			eventually(t, "the source starts", func() bool { return backend.Counters().Sent > sunk.Sent })
			must(t, load.Reset(), load.Healthy())
			eventually(t, "the backend has noticed", func() bool { return backend.Counters().Open == 0 })
		})
	}
}

func TestTheBackendIsAWebSocketServer(t *testing.T) {
	_, port := startBackend(t, build(t))
	conn, response, err := websocket.DefaultDialer.Dial("ws://127.0.0.1:"+strconv.Itoa(port)+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	response.Body.Close()
	// gorilla masks with random keys and fragments what is larger than its buffer.
	for _, size := range []int{0, 1, 7, 125, 126, 4000, 65535, 65536, 300000} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 31)
		}
		must(t, conn.WriteMessage(websocket.TextMessage, want))
		kind, got, err := conn.ReadMessage()
		if err != nil || kind != websocket.TextMessage || sha256.Sum256(got) != sha256.Sum256(want) {
			t.Errorf("%d bytes came back as %d of kind %d: %v", size, len(got), kind, err)
		}
	}
	pong := make(chan string, 1)
	conn.SetPongHandler(func(data string) error { pong <- data; return nil })
	must(t, conn.WriteControl(websocket.PingMessage, []byte("still there?"), time.Now().Add(10*time.Second)))
	must(t, conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "enough"), time.Now().Add(10*time.Second)))
	_, _, err = conn.ReadMessage()
	if got := <-pong; got != "still there?" || !websocket.IsCloseError(err, 4000) {
		t.Errorf("pong %q, end %v", got, err)
	}
}

// server is a peer of the clients that does with a connection what a test wants.
func server(t *testing.T, serve func(*websocket.Conn)) Target {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		serve(conn)
	}))
	t.Cleanup(s.Close)
	return Target{Host: "127.0.0.1", Port: s.Listener.Addr().(*net.TCPAddr).Port, Path: "/", Parallel: 1}
}

func TestTheClientsNoticeWhatIsWrong(t *testing.T) {
	p := build(t)
	for name, answer := range map[string]func(*websocket.Conn, []byte) error{
		"a message that is shorter": func(c *websocket.Conn, m []byte) error { return c.WriteMessage(websocket.BinaryMessage, m[:len(m)-1]) },
		"another message":           func(c *websocket.Conn, m []byte) error { m[12]++; return c.WriteMessage(websocket.BinaryMessage, m) },
	} {
		load := startLoad(t, p)
		to := server(t, func(c *websocket.Conn) {
			for {
				_, message, err := c.ReadMessage()
				if err != nil || answer(c, message) != nil {
					return
				}
			}
		})
		must(t, load.Open(to, 1), load.Say(64))
		if load.Healthy() == nil {
			t.Errorf("%s was taken for its echo", name)
		}
	}
	load := startLoad(t, p)
	to := server(t, func(c *websocket.Conn) { _, _, _ = c.ReadMessage() })
	must(t, load.Open(to, 1))
	if err := load.Say(64); err == nil {
		t.Error("the end of a connection went unnoticed")
	}
	refusing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(refusing.Close)
	to.Port = refusing.Listener.Addr().(*net.TCPAddr).Port
	if err := startLoad(t, p).Open(to, 1); err == nil {
		t.Error("a refused handshake went unnoticed")
	}
}

func TestTheClientsAnswerPings(t *testing.T) {
	p := build(t)
	pong := make(chan string, 1)
	to := server(t, func(c *websocket.Conn) {
		c.SetPongHandler(func(data string) error { pong <- data; return nil })
		if err := c.WriteControl(websocket.PingMessage, []byte("12345678"), time.Now().Add(10*time.Second)); err != nil {
			t.Error(err)
		}
		_, _, _ = c.ReadMessage()
	})
	load := startLoad(t, p)
	must(t, load.Open(to, 1))
	select {
	case got := <-pong:
		if got != "12345678" {
			t.Errorf("pong %q", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("no pong")
	}
}

func TestQuantilesAreAtMostABucketTooLong(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("nothing has a quantile")
	}
	// The bucket of each is where observe in bench.h puts it.
	for ns, bucket := range map[int]int{0: 0, 31: 31, 32: 32, 63: 63, 64: 64, 65: 64, 127: 95, 128: 96, 1000: 4<<5 + 62, 1_000_000: 14<<5 + 61} {
		if got := int(upper(bucket)); got < ns || bucket > 0 && int(upper(bucket-1)) >= ns || float64(got) > float64(ns)*1.04+1 {
			t.Errorf("%d ns are in bucket %d, which ends at %d after %d", ns, bucket, got, int(upper(max(0, bucket-1))))
		}
	}
	h[96], h[160] = 99, 1
	if got := h.Quantile(0.5); got != upper(96) {
		t.Errorf("median %v", got)
	}
	if got := h.Quantile(0.99); got != upper(96) {
		t.Errorf("p99 %v", got)
	}
	if got := h.Quantile(0.999); got != upper(160) {
		t.Errorf("p99.9 %v", got)
	}
	if got := h.Quantile(1); got != upper(160) {
		t.Errorf("maximum %v", got)
	}
}
