// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// authority is a CA made for one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	ca := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.key = newKey(t)
	raw, err := x509.CreateCertificate(rand.Reader, template, template, ca.key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if ca.cert, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	return ca
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (ca *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

func (ca *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// issue returns a certificate for the name, and one for 127.0.0.1 where it is
// empty, with its key, as PEM.
func (ca *authority) issue(name string) (cert, key []byte) {
	ca.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if name == "" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		template.DNSNames = []string{name}
	}
	private := newKey(ca.t)
	raw, err := x509.CreateCertificate(rand.Reader, template, ca.cert, private.Public(), ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		ca.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// secure is an upstream over TLS that would speak HTTP/2, too, and tells the
// test of each handshake's TLS state.
func (ca *authority) secure(name string, clients *x509.CertPool) (address string, states <-chan tls.ConnectionState) {
	ca.t.Helper()
	pair, err := tls.X509KeyPair(ca.issue(name))
	if err != nil {
		ca.t.Fatal(err)
	}
	seen := make(chan tls.ConnectionState, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- *r.TLS
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Sec-WebSocket-Accept", handshake.AcceptOf(r.Header.Get("Sec-WebSocket-Key")))
		w.WriteHeader(http.StatusSwitchingProtocols)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = quiet(ca.t)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if clients != nil {
		server.TLS.ClientCAs, server.TLS.ClientAuth = clients, tls.RequireAndVerifyClientCert
	}
	server.StartTLS()
	ca.t.Cleanup(server.Close)
	return server.Listener.Addr().String(), seen
}

// next is the TLS state of the next handshake that came to an HTTP request.
func next(t *testing.T, states <-chan tls.ConnectionState) tls.ConnectionState {
	t.Helper()
	select {
	case state := <-states:
		return state
	case <-patient(t).Done():
		t.Fatal("nobody came")
		return tls.ConnectionState{}
	}
}

func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func securely(want config.UpstreamTLS, address string) *config.Config {
	cfg := at(address)
	cfg.UpstreamTLS = &want
	return cfg
}

func TestTLSUpstreamIsVerified(t *testing.T) {
	ca, other, dir, otherDir := newAuthority(t, "one"), newAuthority(t, "two"), t.TempDir(), t.TempDir()
	write(t, dir, map[string][]byte{dataplanev1alpha1.FileUpstreamCA: ca.pem()})
	write(t, otherDir, map[string][]byte{dataplanev1alpha1.FileUpstreamCA: other.pem()})
	named, states := ca.secure("chat.default.svc", nil)
	byIP, _ := ca.secure("", nil)

	for _, test := range []struct {
		name, dir, address string
		want               config.UpstreamTLS
		ok                 bool
	}{
		{"by its name", dir, named, config.UpstreamTLS{CA: true, ServerName: "chat.default.svc"}, true},
		{"by its address", dir, byIP, config.UpstreamTLS{CA: true}, true},
		{"other name", dir, named, config.UpstreamTLS{CA: true, ServerName: "other.default.svc"}, false},
		{"name that is not its address", dir, named, config.UpstreamTLS{CA: true}, false},
		{"other CA", otherDir, named, config.UpstreamTLS{CA: true, ServerName: "chat.default.svc"}, false},
		{"CA that the system does not know", dir, named, config.UpstreamTLS{ServerName: "chat.default.svc"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := securely(test.want, test.address)
			u, err := NewDialer(test.dir).Dial(patient(t), cfg, clientHead(t, cfg, ""))
			if test.ok {
				if err != nil {
					t.Fatal(err)
				}
				_ = u.Conn.Close()
				u.Release()
				return
			}
			attempt, ok := errors.AsType[*AttemptError](err)
			if !ok || attempt.Stage != StageTLS || Retryable(err) || IsTimeout(err) {
				t.Errorf("%v; want a failure in stage tls that is not retried", err)
			}
			if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
				t.Errorf("%v is no CertificateVerificationError", err)
			}
		})
	}
	if state := next(t, states); state.NegotiatedProtocol != "http/1.1" || state.ServerName != "chat.default.svc" {
		t.Errorf("negotiated %q for %q", state.NegotiatedProtocol, state.ServerName)
	}
}

func TestURLsHostIsTheServerName(t *testing.T) {
	ca, dir := newAuthority(t, "one"), t.TempDir()
	write(t, dir, map[string][]byte{dataplanev1alpha1.FileUpstreamCA: ca.pem()})
	address, states := ca.secure("localhost", nil)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cfg := atURL(t, "wss://localhost:"+port)
	cfg.UpstreamTLS.CA = true
	mustDial(t, NewDialer(dir), cfg, clientHead(t, cfg, ""))
	if state := next(t, states); state.ServerName != "localhost" {
		t.Errorf("server name is %q", state.ServerName)
	}
}

func TestClientCertificateIsShown(t *testing.T) {
	ca, dir := newAuthority(t, "one"), t.TempDir()
	address, states := ca.secure("", ca.pool())
	cert, key := ca.issue("wsproxy")
	write(t, dir, map[string][]byte{
		dataplanev1alpha1.FileUpstreamCA: ca.pem(), dataplanev1alpha1.FileUpstreamCert: cert, dataplanev1alpha1.FileUpstreamKey: key,
	})
	with := securely(config.UpstreamTLS{CA: true, ClientCertificate: true}, address)
	mustDial(t, NewDialer(dir), with, clientHead(t, with, ""))
	if state := next(t, states); len(state.PeerCertificates) != 1 || state.PeerCertificates[0].Subject.CommonName != "wsproxy" {
		t.Errorf("showed %v", state.PeerCertificates)
	}

	// Without it the upstream says no, by an alert; asking again would not help.
	without := securely(config.UpstreamTLS{CA: true}, address)
	if _, err := NewDialer(dir).Dial(patient(t), without, clientHead(t, without, "")); err == nil || Retryable(err) {
		t.Errorf("%v; want a failure that is not retried", err)
	}
}

func TestCertificatesAreReloaded(t *testing.T) {
	before, after, dir := newAuthority(t, "before"), newAuthority(t, "after"), t.TempDir()
	address, states := after.secure("", after.pool())
	file := func(ca *authority, what ...string) {
		cert, key := ca.issue("client of " + ca.cert.Subject.CommonName)
		all := map[string][]byte{
			dataplanev1alpha1.FileUpstreamCA: ca.pem(), dataplanev1alpha1.FileUpstreamCert: cert, dataplanev1alpha1.FileUpstreamKey: key,
		}
		for _, name := range what {
			write(t, dir, map[string][]byte{name: all[name]})
		}
	}
	d := NewDialer(dir)
	cfg := securely(config.UpstreamTLS{CA: true, ClientCertificate: true}, address)
	dial := func() error {
		u, err := d.Dial(patient(t), cfg, clientHead(t, cfg, ""))
		if err == nil {
			_ = u.Conn.Close()
			u.Release()
		}
		return err
	}

	// Files that are not there may be there soon.
	if err := dial(); !errors.Is(err, os.ErrNotExist) || !Retryable(err) {
		t.Fatalf("%v; want files that are missing, to be retried", err)
	}
	file(before, dataplanev1alpha1.FileUpstreamCA, dataplanev1alpha1.FileUpstreamCert, dataplanev1alpha1.FileUpstreamKey)
	if err := dial(); err == nil {
		t.Fatal("the upstream is trusted by a CA that has not signed it")
	}
	file(after, dataplanev1alpha1.FileUpstreamCA, dataplanev1alpha1.FileUpstreamCert, dataplanev1alpha1.FileUpstreamKey)
	if err := dial(); err != nil {
		t.Fatal(err)
	}
	if state := next(t, states); state.PeerCertificates[0].Subject.CommonName != "client of after" {
		t.Errorf("showed %v", state.PeerCertificates[0].Subject)
	}

	// A renewal that is seen halfway leaves what was usable in force.
	file(after, dataplanev1alpha1.FileUpstreamCert)
	if err := dial(); err != nil {
		t.Errorf("certificate without its key: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, dataplanev1alpha1.FileUpstreamCA)); err != nil {
		t.Fatal(err)
	}
	if err := dial(); err != nil {
		t.Errorf("CA gone for the moment: %v", err)
	}
	// But not for a configuration that wants something else.
	cfg.UpstreamTLS = &config.UpstreamTLS{CA: true}
	if err := dial(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v; want files that are missing", err)
	}
}

func TestTLSTransportFailuresAreRetryable(t *testing.T) {
	ca, dir := newAuthority(t, "one"), t.TempDir()
	write(t, dir, map[string][]byte{dataplanev1alpha1.FileUpstreamCA: ca.pem()})
	closing := securely(config.UpstreamTLS{CA: true}, listening(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
	}))
	_, err := NewDialer(dir).Dial(patient(t), closing, clientHead(t, closing, ""))
	if attempt, ok := errors.AsType[*AttemptError](err); !ok || attempt.Stage != StageTLS || !Retryable(err) || IsTimeout(err) {
		t.Errorf("%v; want a failure in stage tls that is retried", err)
	}

	plain := securely(config.UpstreamTLS{CA: true}, answeringBytes(t, "HTTP/1.1 400 Bad Request\r\n\r\n"))
	if _, err = NewDialer(dir).Dial(patient(t), plain, clientHead(t, plain, "")); err == nil || Retryable(err) {
		t.Errorf("%v; want an upstream without TLS, not to be retried", err)
	}
}
