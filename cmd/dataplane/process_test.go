// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/version"
	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
)

// echo is an upstream that sends back what it gets; it returns a ws URL.
func echo(t *testing.T) string {
	t.Helper()
	var upgrader websocket.Upgrader
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, message) != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// manifest writes a manifest with the settings and returns its path.
func manifest(t *testing.T, path, upstream, settings string) string {
	t.Helper()
	certstest.Replace(t, path, []byte(`
apiVersion: wsproxy.io/v1alpha1
kind: WebSocketProxy
metadata: {name: echo}
spec:
  upstream: {url: "`+upstream+`"}
  drain: {timeoutSeconds: 0}
  settings: {`+settings+`}
`))
	return path
}

// running is a process whose ports were chosen by the kernel.
type running struct {
	*process
	stop func() error
	log  *logbook
}

// logbook is what a process logs.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *logbook) add(_, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line + "\n")
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// says waits for a text in the log.
func (r running) says(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(r.log.String(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %s:\n%s", text, r.log)
		}
	}
}

// launch runs the program in this process until stop, or the end of the test.
func launch(t *testing.T, getenv func(string) string, args ...string) running {
	t.Helper()
	return launchAt(t, getenv, append(args, "--listen-address=127.0.0.1:0")...)
}

// launchAt is launch for an address that the arguments say.
func launchAt(t *testing.T, getenv func(string) string, args ...string) running {
	t.Helper()
	log := &logbook{}
	o, err := parse(append(args, "--control-address=127.0.0.1:0", "--metrics-address=127.0.0.1:0"), getenv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(t.Context(), context.Background(), o, funcr.New(log.add, funcr.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.serve(ctx) }()
	stopped := false
	r := running{process: p, log: log, stop: func() error {
		stopped = true
		// Nobody sends clients here that would have to be waited for.
		p.relay.AcceptWhileDraining = time.Millisecond
		cancel()
		return <-ended
	}}
	t.Cleanup(func() {
		if !stopped {
			if err := r.stop(); err != nil {
				t.Errorf("the process ended with %v", err)
			}
		}
	})
	return r
}

// get returns the status code and the body of a probe.
func (r running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Get("http://" + r.probeListener.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (r running) controlConn(t *testing.T, transport credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(r.controlListener.Addr().String(), grpc.WithTransportCredentials(transport))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (r running) connect(t *testing.T) *websocket.Conn {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.Dial("ws://"+r.trafficListener.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func say(t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.ReadMessage(); err != nil || string(got) != message {
		t.Fatalf("echo of %q: %q, %v", message, got, err)
	}
}

// eventually waits for what takes a second, for up to a minute.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if happened() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}

func TestItRunsFromAManifestWithoutKubernetes(t *testing.T) {
	path := manifest(t, filepath.Join(t.TempDir(), "proxy.yaml"), echo(t), "maxRetries: 1")
	r := launch(t, nowhere, "--config="+path)
	conn := r.connect(t)
	say(t, conn, "hello")

	if code, body := r.get(t, "/readyz"); code != 200 {
		t.Errorf("/readyz: %d %s", code, body)
	}
	control := r.controlConn(t, insecure.NewCredentials())
	stream, err := dataplanev1alpha1.NewConnectionsClient(control).List(t.Context(), &dataplanev1alpha1.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := stream.Recv()
	if err != nil || len(chunk.GetConnections()) != 1 {
		t.Fatalf("listed %v, %v", chunk, err)
	}
	if c := chunk.GetConnections()[0]; !strings.HasPrefix(c.GetName(), chunk.GetPodId()+"-") || c.GetPhase() != dataplanev1alpha1.Phase_PHASE_OPEN || c.GetFromClient().GetMessages() != 1 {
		t.Errorf("listed %v", c)
	}
	_, body := r.get(t, "/metrics")
	for _, sample := range []string{
		"wsproxy_connections{%s} 1", "wsproxy_connections_opened_total{%s} 1", `wsproxy_handshakes_total{code="101",%s,reason="Accepted"} 1`,
		`wsproxy_messages_total{direction="from_client",%s} 1`, `wsproxy_messages_total{direction="from_upstream",%s} 1`, `wsproxy_build_info{%s,version="` + version.Number() + `"} 1`,
		"wsproxy_connections_limit{%s} 0", "wsproxy_upstream_endpoints{%s} 1", `wsproxy_handshake_duration_seconds_count{code_class="1xx",%s} 1`,
		`wsproxy_upstream_handshake_duration_seconds_count{attempt="handshake",namespace="default",outcome="Accepted",proxy="echo"} 1`,
	} {
		sample = strings.ReplaceAll(sample, "%s", `namespace="default",proxy="echo"`)
		if !strings.Contains(body, sample+"\n") {
			t.Errorf("/metrics lacks %q", sample)
		}
	}

	manifest(t, path, echo(t), "maxRetries: 101")
	manifest(t, path, echo(t), "maxRetries: 7")
	eventually(t, "an edit is in force", func() bool { return r.store.Current().MaxRetries == 7 })
	say(t, conn, "still here")

	_, err = dataplanev1alpha1.NewConnectionsClient(control).Disconnect(t.Context(), &dataplanev1alpha1.DisconnectRequest{
		Name: chunk.GetConnections()[0].GetName(), Code: 4001, Reason: "bye",
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = conn.ReadMessage()
	if closed := (*websocket.CloseError)(nil); !errors.As(err, &closed) || closed.Code != 4001 || closed.Text != "bye" {
		t.Errorf("the client was closed with %v", err)
	}
}

func TestSIGTERMDrainsAndEndsWithoutError(t *testing.T) {
	path := manifest(t, filepath.Join(t.TempDir(), "proxy.yaml"), echo(t), "")
	r := launch(t, nowhere, "--config="+path)
	conn := r.connect(t)
	say(t, conn, "hello")
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	_, _, err := conn.ReadMessage()
	if closed := (*websocket.CloseError)(nil); !errors.As(err, &closed) || closed.Code != websocket.CloseServiceRestart {
		t.Errorf("the client was closed with %v, want 1012", err)
	}
	_ = conn.Close()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestADrainThatWasAskedForDoesNotEndTheProcess(t *testing.T) {
	path := manifest(t, filepath.Join(t.TempDir(), "proxy.yaml"), echo(t), "")
	r := launch(t, nowhere, "--config="+path)
	control := r.controlConn(t, insecure.NewCredentials())
	configuration, connections := dataplanev1alpha1.NewConfigurationClient(control), dataplanev1alpha1.NewConnectionsClient(control)
	// One has an hour to answer its close frame, so it is there until it leaves.
	slow := r.connect(t)
	say(t, slow, "hello")
	var slowName string
	for entry := range r.registry.All() {
		slowName = entry.ID().Name()
	}
	if _, err := connections.Disconnect(t.Context(), &dataplanev1alpha1.DisconnectRequest{Name: slowName, GracePeriodMilliseconds: 3_600_000}); err != nil {
		t.Fatal(err)
	}
	conn := r.connect(t)
	drain, err := configuration.Drain(t.Context(), &dataplanev1alpha1.DrainRequest{})
	if err != nil || drain.GetConnections() != 2 {
		t.Fatalf("drain: %v, %v", drain, err)
	}
	if code, body := r.get(t, "/readyz"); code != 503 || body != "draining\n" {
		t.Errorf("/readyz: %d %s", code, body)
	}
	_, _, err = conn.ReadMessage()
	if closed := (*websocket.CloseError)(nil); !errors.As(err, &closed) || closed.Code != websocket.CloseServiceRestart {
		t.Errorf("the client was closed with %v, want 1012", err)
	}
	_ = conn.Close()
	eventually(t, "the progress can be read", func() bool {
		status, err := configuration.Status(t.Context(), &dataplanev1alpha1.StatusRequest{})
		return err == nil && status.GetDraining() && status.GetConnections() == 1
	})
	if _, body := r.get(t, "/metrics"); !strings.Contains(body, "\nwsproxy_draining{namespace=\"default\",proxy=\"echo\"} 1\n") || !strings.Contains(body, "\nwsproxy_connections{namespace=\"default\",proxy=\"echo\"} 1\n") {
		t.Errorf("/metrics does not say how far the drain is: %s", body)
	}
	select {
	case <-r.drained:
		t.Error("the drain is over while a connection is left")
	default:
	}
	_ = slow.Close()
	<-r.drained
	status, err := configuration.Status(t.Context(), &dataplanev1alpha1.StatusRequest{})
	if err != nil || !status.GetDraining() || status.GetConnections() != 0 {
		t.Errorf("status after the drain: %v, %v", status, err)
	}
	if code, _ := r.get(t, "/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}
	if err := r.stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestAPodSpeaksMutualTLSAndRestartsWithWhatWasPushed(t *testing.T) {
	authority, dir := certstest.New(t), t.TempDir()
	secrets, state, mounted := filepath.Join(dir, "tls"), filepath.Join(dir, "state"), filepath.Join(dir, "snapshot.json")
	for _, path := range []string{secrets, state} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	name := dataplanev1alpha1.ServerName("shop", "chat")
	authority.Write(t, filepath.Join(secrets, dataplanev1alpha1.FileControlCert), filepath.Join(secrets, dataplanev1alpha1.FileControlKey), name)
	certstest.Replace(t, filepath.Join(secrets, dataplanev1alpha1.FileControlCA), authority.PEM())
	snapshot := &dataplanev1alpha1.Snapshot{
		Namespace: "shop", Proxy: "chat",
		Settings: &dataplanev1alpha1.Settings{ConnectTimeout: 30, MaxRetries: 1},
		Upstream: &dataplanev1alpha1.Upstream{Url: echo(t)},
	}
	raw, err := dataplanev1alpha1.MarshalSnapshot(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	certstest.Replace(t, mounted, raw)
	args := []string{"--config=" + mounted, "--state-dir=" + state, "--secret-dir=" + secrets}

	r := launch(t, inPod, args...)
	if got := r.relay.AcceptWhileDraining; got != 5*time.Second {
		t.Errorf("a pod that drains accepts for %v", got)
	}
	operator := credentials.NewTLS(&tls.Config{
		RootCAs: authority.Pool(), ServerName: name, Certificates: []tls.Certificate{authority.Pair(t, dataplanev1alpha1.ClientOperator)},
	})
	snapshot.Version, snapshot.Settings.MaxRetries = 42, 9
	snapshot.Listen = &dataplanev1alpha1.Listen{Tls: true}
	applied, err := dataplanev1alpha1.NewConfigurationClient(r.controlConn(t, operator)).Apply(t.Context(), &dataplanev1alpha1.ApplyRequest{Snapshot: snapshot})
	if err != nil || applied.GetVersion() != 42 {
		t.Fatalf("applied %v, %v", applied, err)
	}
	// Clients need a certificate now, and it is not there yet.
	if code, body := r.get(t, "/readyz"); code != 503 || !strings.Contains(body, dataplanev1alpha1.FileListenCert) {
		t.Errorf("/readyz: %d %s", code, body)
	}
	authority.Write(t, filepath.Join(secrets, dataplanev1alpha1.FileListenCert), filepath.Join(secrets, dataplanev1alpha1.FileListenKey), "chat.example")
	eventually(t, "the pod is ready", func() bool { code, _ := r.get(t, "/readyz"); return code == 200 })
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: authority.Pool(), ServerName: "chat.example"}}
	conn, response, err := dialer.Dial("wss://"+r.trafficListener.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	say(t, conn, "over TLS")

	// A renewed certificate is shown to who comes next, and who is there goes on.
	authority.Write(t, filepath.Join(secrets, dataplanev1alpha1.FileListenCert), filepath.Join(secrets, dataplanev1alpha1.FileListenKey), "renewed.example")
	eventually(t, "the renewed certificate", func() bool {
		next, err := tls.Dial("tcp", r.trafficListener.Addr().String(), &tls.Config{RootCAs: authority.Pool(), ServerName: "renewed.example"})
		if err != nil {
			return false
		}
		_ = next.Close()
		return true
	})
	say(t, conn, "over the TLS from before")
	_ = conn.Close()

	// The second run is beside the first, as if that had been killed.
	again := launch(t, inPod, args...)
	if c := again.store.Current(); c.Snapshot.GetVersion() != 42 || c.MaxRetries != 9 {
		t.Errorf("restarted with version %d and maxRetries %d", c.Snapshot.GetVersion(), c.MaxRetries)
	}
	if again.registry.PodID() == r.registry.PodID() {
		t.Error("the restarted container has the old pod id")
	}
}

func TestListenTLSWithoutACertificateIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.yaml")
	content := `{"apiVersion":"wsproxy.io/v1alpha1","kind":"WebSocketProxy","metadata":{"name":"echo"},"spec":{"listen":{"tls":{"secretName":"x"}},"upstream":{"url":"ws://127.0.0.1:1"}}}`
	certstest.Replace(t, path, []byte(content))
	if err := run(t.Context(), t.Context(), []string{"--config=" + path}, nowhere, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "--tls-cert-file") {
		t.Errorf("without a certificate: %v", err)
	}
}

func TestThePlainControlPortIsOnLoopbackOnly(t *testing.T) {
	path := manifest(t, filepath.Join(t.TempDir(), "proxy.yaml"), echo(t), "")
	args := []string{"--config=" + path, "--listen-address=127.0.0.1:0", "--control-address=0.0.0.0:0", "--metrics-address=127.0.0.1:0"}
	if err := run(t.Context(), t.Context(), args, nowhere, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("ended with %v", err)
	}
}
