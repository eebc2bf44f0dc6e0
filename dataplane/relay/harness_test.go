// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/metrics"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/upstream"
)

// goroutines says which driver the proxies under test have.
var goroutines bool

// overBothDrivers runs every test with the event loop and then with goroutines
// alone. -driver=loop and -driver=pump choose one.
type overBothDrivers struct{ *testing.M }

var only = flag.String("driver", "", "run the tests over this driver only: loop or pump")

func (m overBothDrivers) Run() (code int) {
	flag.Parse()
	for _, driver := range []string{"loop", "pump"} {
		if *only != "" && *only != driver {
			continue
		}
		fmt.Println("driver:", driver)
		goroutines = driver == "pump"
		code = max(code, m.M.Run())
	}
	return code
}

// Those that mostly wait run side by side, after the others: those that measure, that count
// on being on time, or that need an address of which nobody makes use.
func TestMain(m *testing.M) {
	if url := os.Getenv(proxyOnly); url != "" {
		if err := runProxyOnly(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(overBothDrivers{m})
}

// patience bounds waits for what must happen; it is never what a test measures.
const patience = 20 * time.Second

// snapshot returns a configuration with short pauses and no keepalive, for an
// upstream at the URL. Its timeouts are longer than patience: a busy machine is no
// failure.
func snapshot(url string) *dataplanev1alpha1.Snapshot {
	return &dataplanev1alpha1.Snapshot{
		Namespace: "default", Proxy: "test",
		Settings: &dataplanev1alpha1.Settings{
			ConnectTimeout: 60, ReuseAddr: true, RetryDelay: 1,
			AutoReconnectMaxRetries: 100, AutoReconnectRetryDelay: 10,
		},
		Reconnect: &dataplanev1alpha1.Reconnect{BufferBytes: 65536},
		Limits:    &dataplanev1alpha1.Limits{},
		Drain:     &dataplanev1alpha1.Drain{TimeoutSeconds: 1},
		Listen:    &dataplanev1alpha1.Listen{},
		Upstream:  &dataplanev1alpha1.Upstream{Url: url},
	}
}

// proxy is a server under test.
type proxy struct {
	t        *testing.T
	url      string
	server   *relay.Server
	store    *config.Store
	registry *registry.Registry
	version  uint64
	secrets  string // the directory of the upstream's CA
	budget   *core.Budget
}

// startProxy runs a server with the configuration until the test ends.
func startProxy(t *testing.T, snap *dataplanev1alpha1.Snapshot) *proxy {
	t.Helper()
	return startProxyWith(t, snap, core.NewBudget(1<<20))
}

// startProxyWith is startProxy with what may be kept for reconnects, all of which is
// given back in the end, and with other options.
func startProxyWith(t *testing.T, snap *dataplanev1alpha1.Snapshot, budget *core.Budget, change ...func(*relay.Options)) *proxy {
	t.Helper()
	cfg, err := config.Compile(snap)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, budget: budget, store: config.NewStore(cfg, ""), registry: registry.New(registry.NewPodID("test", time.Now()))}
	logger := logr.Discard()
	if testing.Verbose() {
		logger = testr.New(t)
	}
	p.secrets = t.TempDir()
	options := relay.Options{
		Config: p.store, Registry: p.registry, Dialer: upstream.NewDialer(p.secrets), Logger: logger,
		Metrics:             metrics.New(metrics.Sources{Connections: p.registry.Len, ConfigVersion: func() uint64 { return 0 }, Draining: func() bool { return false }, ReconnectBytes: budget.Used, ReconnectBytesLimit: budget.Limit, ConnectionsLimit: func() int { return 0 }, Endpoints: func() int { return 1 }, Expiries: func() map[metrics.Certificate]time.Time { return nil }}),
		AcceptWhileDraining: 10 * time.Millisecond, HeaderTimeout: time.Minute, IdleTimeout: 50 * time.Millisecond,
		Goroutines: goroutines, Budget: budget,
	}
	for _, option := range change {
		option(&options)
	}
	p.server = relay.New(options)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "ws://" + listener.Addr().String()
	if snap.Listen.Tls {
		p.url = "wss://" + listener.Addr().String()
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}})
	}
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(listener) }()
	t.Cleanup(func() {
		p.server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := p.registry.Len(); n != 0 {
			t.Errorf("%d connections are left in the registry", n)
		}
		if n := budget.Used(); n != 0 {
			t.Errorf("%d bytes of the budget for reconnects are not given back", n)
		}
	})
	return p
}

// apply changes the configuration in force.
func (p *proxy) apply(change func(*dataplanev1alpha1.Snapshot)) {
	p.t.Helper()
	snap := proto.CloneOf(p.store.Current().Snapshot)
	change(snap)
	p.version++
	snap.Version = p.version
	if _, err := p.store.Apply(snap); err != nil {
		p.t.Fatal(err)
	}
}

// dial opens a client, and waits until the proxy has noted that it is open, which
// it does when the client may have its answer already.
func (p *proxy) dial(header http.Header) *websocket.Conn {
	p.t.Helper()
	client, response, err := websocket.DefaultDialer.DialContext(p.t.Context(), p.url+"/chat?x=%20y", header)
	if err != nil {
		p.t.Fatalf("dial: %v (%v)", err, response)
	}
	p.t.Cleanup(func() { _ = client.Close() })
	name := response.Header.Get("X-Websocket-Connection-Id")
	eventually(p.t, "it is open", func() bool {
		entry := p.registry.Get(name)
		return entry == nil || entry.Describe().Phase != dataplanev1alpha1.Phase_PHASE_CONNECTING
	})
	return client
}

// only returns the one live connection.
func (p *proxy) only() *registry.Entry {
	p.t.Helper()
	page, _ := p.registry.After("", 2)
	if len(page) != 1 {
		p.t.Fatalf("%d connections, want 1", len(page))
	}
	return page[0]
}

// backend is an upstream whose connections a test can get hold of.
type backend struct {
	url      string
	http     *httptest.Server
	accepted chan *websocket.Conn
	requests chan *http.Request

	mu sync.Mutex
	// answer, unless nil, answers instead of an upgrade.
	answer func(w http.ResponseWriter, r *http.Request) bool // guarded by mu
}

// startBackend runs an upstream that hands each connection to the test.
func startBackend(t *testing.T) *backend {
	t.Helper()
	return startBackendWith(t, httptest.NewServer)
}

func startBackendWith(t *testing.T, serve func(http.Handler) *httptest.Server) *backend {
	t.Helper()
	b := &backend{accepted: make(chan *websocket.Conn, 100), requests: make(chan *http.Request, 1000)}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }, EnableCompression: true, Subprotocols: []string{"chat.v2"}}
	b.http = serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.requests <- r
		b.mu.Lock()
		answer := b.answer
		b.mu.Unlock()
		if answer != nil && answer(w, r) {
			return
		}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		b.accepted <- conn
	}))
	b.url = "ws" + strings.TrimPrefix(b.http.URL, "http")
	t.Cleanup(func() {
		b.http.Close()
		for {
			select {
			case conn := <-b.accepted:
				_ = conn.Close()
			default:
				return
			}
		}
	})
	return b
}

func (b *backend) setAnswer(f func(w http.ResponseWriter, r *http.Request) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = f
}

// testCertificate is the certificate for loopback that net/http/httptest has.
func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return server.TLS.Certificates[0]
}

// next returns the next connection that the upstream accepted.
func (b *backend) next(t *testing.T) *websocket.Conn {
	t.Helper()
	select {
	case conn := <-b.accepted:
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	case <-time.After(patience):
		t.Fatal("the upstream got no connection")
		return nil
	}
}

// send writes a text message.
func send(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatalf("write %.20q: %v", text, err)
	}
}

// receive reads a message and compares it.
func receive(t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, got, err := conn.ReadMessage()
	if err != nil {
		t.Fatalf("read, want %.20q: %v", want, err)
	}
	if string(got) != want {
		t.Fatalf("got %.40q (%d bytes), want %.40q (%d bytes)", got, len(got), want, len(want))
	}
}

// receiveClose reads until the close frame, compares its code and returns its
// reason.
func receiveClose(t *testing.T, conn *websocket.Conn, code int) (reason string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for {
		_, _, err := conn.ReadMessage()
		if err == nil {
			continue
		}
		closed, ok := errors.AsType[*websocket.CloseError](err)
		if !ok || closed.Code != code {
			t.Fatalf("ended with %v, want close code %d", err, code)
		}
		return closed.Text
	}
}

// eventually waits until something is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", patience, what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// held waits until the proxy has noticed that the upstream is lost. What the client
// sends before may have been handed over to the one that is gone.
func (p *proxy) held(reconnects int32) {
	p.t.Helper()
	eventually(p.t, "the loss is noticed", func() bool {
		c := p.only().Describe()
		return c.Phase == dataplanev1alpha1.Phase_PHASE_RECONNECTING || c.Reconnects > reconnects
	})
}

// phase returns the phase of the only connection.
func (p *proxy) phase() dataplanev1alpha1.Phase { return p.only().Describe().Phase }
