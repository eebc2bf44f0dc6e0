// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package listener_test

import (
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/listener"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func compile(t *testing.T, version uint64, reuseAddr, useTLS bool) *config.Config {
	t.Helper()
	c, err := config.Compile(&dataplanev1alpha1.Snapshot{
		Version: version, Namespace: "shop", Proxy: "chat",
		Settings: &dataplanev1alpha1.Settings{ConnectTimeout: 1, ReuseAddr: reuseAddr},
		Listen:   &dataplanev1alpha1.Listen{Tls: useTLS},
		Upstream: &dataplanev1alpha1.Upstream{Url: "ws://127.0.0.1:1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func listen(t *testing.T, store *config.Store, pair *certs.Pair) net.Listener {
	t.Helper()
	l, err := listener.Listen(t.Context(), "127.0.0.1:0", store, pair)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// echo accepts one connection and sends back the first byte.
func echo(l net.Listener) <-chan error {
	done := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		_, err = io.CopyN(conn, conn, 1)
		_ = conn.Close()
		done <- err
	}()
	return done
}

func say(t *testing.T, conn net.Conn) {
	t.Helper()
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte{'x'}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// A certificate that is renewed is shown in the next handshake, by the same listener,
// and a connection that was opened with the one before goes on.
func TestARenewedCertificateIsShownInTheNextHandshakeAndClosesNobody(t *testing.T) {
	authority, dir := certstest.New(t), t.TempDir()
	cert, key := filepath.Join(dir, "listen.crt"), filepath.Join(dir, "listen.key")
	authority.Write(t, cert, key, "chat.example", "old.example")
	l := listen(t, config.NewStore(compile(t, 1, true, true), ""), certs.NewPair(cert, key, logr.Discard()))
	shown := func() (*tls.Conn, string) {
		t.Helper()
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: authority.Pool(), ServerName: "chat.example"})
		if err != nil {
			t.Fatal(err)
		}
		names := conn.ConnectionState().PeerCertificates[0].DNSNames
		return conn, names[len(names)-1]
	}
	done := echo(l)
	before, name := shown()
	if name != "old.example" {
		t.Fatalf("the certificate is of %s", name)
	}

	authority.Write(t, cert, key, "chat.example", "renewed.example")
	deadline := time.Now().Add(20 * time.Second)
	for name != "renewed.example" {
		if time.Now().After(deadline) {
			t.Fatalf("the certificate is still of %s", name)
		}
		next := echo(l)
		var conn *tls.Conn
		conn, name = shown()
		say(t, conn)
		if err := <-next; err != nil {
			t.Fatal(err)
		}
	}
	say(t, before)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTLSIsSwitchedWithoutARestart(t *testing.T) {
	authority, dir := certstest.New(t), t.TempDir()
	cert, key := filepath.Join(dir, "listen.crt"), filepath.Join(dir, "listen.key")
	authority.Write(t, cert, key, "chat.example")
	store := config.NewStore(compile(t, 1, true, false), "")
	l := listen(t, store, certs.NewPair(cert, key, logr.Discard()))

	plain := func() {
		t.Helper()
		done := echo(l)
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		say(t, conn)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	plain()
	if _, err := store.Apply(compile(t, 2, true, true).Snapshot); err != nil {
		t.Fatal(err)
	}
	done := echo(l)
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{
		RootCAs: authority.Pool(), ServerName: "chat.example", NextProtos: []string{"h2", "http/1.1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("negotiated %q", got)
	}
	say(t, conn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := store.Apply(compile(t, 3, true, false).Snapshot); err != nil {
		t.Fatal(err)
	}
	plain()
}
