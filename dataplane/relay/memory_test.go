// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/listener"
	"github.com/wsproxy/wsproxy/dataplane/metrics"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// What a connection costs is measured in a process of its own, which has nothing
// but a proxy: TestMain runs it instead of the tests where this variable has the
// URL of the upstream.
const proxyOnly = "RELAY_TEST_UPSTREAM"

// maxFiles bounds the files that it may open, where it is set, withGoroutines says
// that it has that driver, and withTLS where the certificate is, of clients that use
// TLS.
const (
	maxFiles       = "RELAY_TEST_FILES"
	withGoroutines = "RELAY_TEST_GOROUTINES"
	withTLS        = "RELAY_TEST_TLS"
)

// runProxyOnly says where it listens, and then for every line that it reads how
// many connections and bytes of heap there are.
func runProxyOnly(url string) error {
	secured := os.Getenv(withTLS)
	snap := snapshot(url)
	snap.Listen.Tls = secured != ""
	cfg, err := config.Compile(snap)
	if err != nil {
		return err
	}
	if text := os.Getenv(maxFiles); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return err
		}
		if err := limitFiles(n); err != nil {
			return err
		}
	}
	// What is kept of the past is not what is measured.
	reg := registry.NewWith(registry.NewPodID("test", time.Now()), registry.Options{History: registry.Bounds{Changes: 10}})
	budget := core.NewBudget(1 << 30)
	store := config.NewStore(cfg, "")
	server := relay.New(relay.Options{
		Config: store, Registry: reg, Dialer: upstream.NewDialer(""), Logger: logr.Discard(),
		Metrics: metrics.New(metrics.Sources{Connections: reg.Len, ConfigVersion: func() uint64 { return 0 }, Draining: func() bool { return false }, ReconnectBytes: budget.Used, ReconnectBytesLimit: budget.Limit, ConnectionsLimit: func() int { return 0 }, Endpoints: func() int { return 1 }, Expiries: func() map[metrics.Certificate]time.Time { return nil }}),
		Budget:  budget, Goroutines: os.Getenv(withGoroutines) != "",
	})
	pair := certs.NewPair(filepath.Join(secured, "crt"), filepath.Join(secured, "key"), logr.Discard())
	l, err := listener.Listen(context.Background(), "127.0.0.1:0", store, pair)
	if err != nil {
		return err
	}
	go func() { _ = server.Serve(l) }()
	fmt.Println(l.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		for range 3 { // what has a finalizer, and the pools of net/http, need more than one
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Println(reg.Len(), m.HeapAlloc)
	}
	return nil
}

// measured is such a process.
type measured struct {
	t       *testing.T
	address string
	pid     int
	in      io.Writer
	out     *bufio.Reader
}

func startMeasured(t *testing.T, upstream string, environment ...string) *measured {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), proxyOnly+"=ws://"+upstream), environment...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	m := &measured{t: t, pid: cmd.Process.Pid, in: in, out: bufio.NewReader(out)}
	m.address = m.line()
	return m
}

func (m *measured) line() string {
	m.t.Helper()
	line, err := m.out.ReadString('\n')
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// ask returns the number of connections and the bytes of heap.
func (m *measured) ask() (connections, bytes int) {
	m.t.Helper()
	fmt.Fprintln(m.in, "?")
	if _, err := fmt.Sscan(m.line(), &connections, &bytes); err != nil {
		m.t.Fatal(err)
	}
	return connections, bytes
}

// rawUpstream accepts WebSockets and does with each what serve does.
func rawUpstream(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sock, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer sock.Close()
		_, _ = sock.Write(handshake.AppendSwitching(nil, http.Header{"Sec-Websocket-Accept": {handshake.AcceptOf(r.Header.Get("Sec-WebSocket-Key"))}}, handshake.Agreement{}, ""))
		serve(sock)
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-served })
	return listener.Addr().String()
}

// untilClose reads until a close frame comes, which it does alone.
func untilClose(sock net.Conn) {
	for p := make([]byte, 4096); ; {
		if _, err := sock.Read(p); err != nil || p[0] == 0x80|byte(wire.Close) {
			return
		}
	}
}

// open opens so many clients, which do nothing.
func (m *measured) open(n int) []net.Conn {
	m.t.Helper()
	socks := make([]net.Conn, n)
	for i := range socks {
		socks[i] = deafClient(m.t, "ws://"+m.address)
	}
	return socks
}

func TestAnIdleConnectionIsSmall(t *testing.T) {
	if goroutines || runtime.GOOS != "linux" {
		t.Skip("goroutines have stacks")
	}
	const connections = 2000
	m := startMeasured(t, rawUpstream(t, untilClose))
	for _, c := range m.open(10) { // so that what is there once is there
		_ = c.Close()
	}
	eventually(t, "they are gone", func() bool { n, _ := m.ask(); return n == 0 })
	_, empty := m.ask()
	socks := m.open(connections)
	n, full := m.ask()
	if n != connections {
		t.Fatalf("%d connections, want %d", n, connections)
	}
	each := (full - empty) / connections
	t.Logf("%d bytes each, %d without any", each, empty)
	if each > 850 {
		t.Errorf("an idle connection has %d bytes", each)
	}

	// Who has talked keeps little more.
	message := wire.AppendFrame(nil, wire.Binary, make([]byte, 60_000), new([4]byte))
	for _, sock := range socks {
		if _, err := sock.Write(message); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(500 * time.Millisecond) // for the messages to cross; nothing says when the last has
	_, used := m.ask()
	more := (used - full) / connections
	t.Logf("%d bytes more when it was used", more)
	if more > 40 {
		t.Errorf("an idle connection that was used has %d bytes more", more)
	}

	for _, sock := range socks {
		_ = sock.Close()
	}
	eventually(t, "they are gone", func() bool { n, _ := m.ask(); return n == 0 })
	left := 0
	const remembered = 100 // how each of them ended
	eventually(t, "the memory is given back, but for 20 %", func() bool {
		_, left = m.ask()
		return left < empty*6/5+connections*remembered
	})
	t.Logf("%d bytes when all are gone", left)
}

func TestAConnectionWhoseReaderHasStalledIsBounded(t *testing.T) {
	if goroutines || runtime.GOOS != "linux" {
		t.Skip("goroutines have stacks")
	}
	for name, flood := range map[string][]byte{
		"one large message after the other": wire.AppendFrame(nil, wire.Binary, make([]byte, 1<<20), nil),
		"empty messages":                    bytes.Repeat(wire.AppendFrame(nil, wire.Binary, nil, nil), 1<<17),
		"empty pongs":                       bytes.Repeat(wire.AppendFrame(nil, wire.Pong, nil, nil), 1<<17),
	} {
		t.Run(name, func(t *testing.T) { stalled(t, flood) })
	}
}

func stalled(t *testing.T, flood []byte) {
	t.Helper()
	const connections = 50
	m := startMeasured(t, rawUpstream(t, func(sock net.Conn) {
		for {
			if _, err := sock.Write(flood); err != nil {
				return
			}
		}
	}))
	m.open(2) // so that what is there once is there
	_, empty := m.ask()
	m.open(connections)
	before := 0
	eventually(t, "all have stalled", func() bool {
		time.Sleep(200 * time.Millisecond) // for what is to change
		_, now := m.ask()
		same := now-before < 4096 && before-now < 4096
		before = now
		return same
	})
	each := (before - empty) / connections
	t.Logf("%d bytes each", each)
	// keepBytes of relay/loop, and what an idle connection has.
	if each > 12<<10+1500 {
		t.Errorf("a stalled connection has %d bytes", each)
	}
}
