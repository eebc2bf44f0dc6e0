// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
)

var serverName = dataplanev1alpha1.ServerName("shop", "chat")

// secret writes what the operator mounts.
func secret(t *testing.T, authority *certstest.Authority) (dir string) {
	t.Helper()
	dir = t.TempDir()
	authority.Write(t, filepath.Join(dir, dataplanev1alpha1.FileControlCert), filepath.Join(dir, dataplanev1alpha1.FileControlKey), serverName)
	certstest.Replace(t, filepath.Join(dir, dataplanev1alpha1.FileControlCA), authority.PEM())
	return dir
}

// as shows a certificate with the names, which only a caller without any leaves
// out.
func as(t *testing.T, authority, trusted *certstest.Authority, names ...string) credentials.TransportCredentials {
	t.Helper()
	c := &tls.Config{RootCAs: trusted.Pool(), ServerName: serverName}
	if len(names) > 0 {
		// A server names the authorities it trusts, and the client library would
		// keep a stranger's certificate to itself.
		pair := authority.Pair(t, names...)
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return credentials.NewTLS(c)
}

// callAll calls every method and returns the codes that it was answered.
func callAll(t *testing.T, address string, transport credentials.TransportCredentials) map[string]codes.Code {
	t.Helper()
	conn := dial(t, address, transport)
	configuration, connections := dataplanev1alpha1.NewConfigurationClient(conn), dataplanev1alpha1.NewConnectionsClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answers := map[string]codes.Code{}
	answer := func(method string, err error) { answers[method] = status.Code(err) }
	_, err := configuration.Apply(ctx, &dataplanev1alpha1.ApplyRequest{Snapshot: at(1)})
	answer("Apply", err)
	_, err = configuration.Status(ctx, &dataplanev1alpha1.StatusRequest{})
	answer("Status", err)
	_, err = configuration.Drain(ctx, &dataplanev1alpha1.DrainRequest{})
	answer("Drain", err)
	_, err = connections.Get(ctx, &dataplanev1alpha1.GetRequest{Name: "x"})
	answer("Get", err)
	stream, err := connections.List(ctx, &dataplanev1alpha1.ListRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	answer("List", err)
	_, err = connections.Disconnect(ctx, &dataplanev1alpha1.DisconnectRequest{Name: "x"})
	answer("Disconnect", err)
	return answers
}

func TestWhoMayCallWhat(t *testing.T) {
	authority, stranger := certstest.New(t), certstest.New(t)
	p := start(t, certs.NewDir(secret(t, authority), logr.Discard()))
	const (
		ok       = codes.OK
		notFound = codes.NotFound // Allowed, and there is no such connection.
		denied   = codes.PermissionDenied
		shut     = codes.Unavailable // TLS refused.
	)
	methods := []string{"Apply", "Status", "Drain", "Get", "List", "Disconnect"}
	for _, test := range []struct {
		name      string
		transport credentials.TransportCredentials
		want      [6]codes.Code
	}{
		{"the operator", as(t, authority, authority, dataplanev1alpha1.ClientOperator), [6]codes.Code{ok, ok, ok, denied, denied, denied}},
		{"the aggregated API server", as(t, authority, authority, dataplanev1alpha1.ClientAPIServer), [6]codes.Code{denied, denied, denied, notFound, ok, notFound}},
		{"another pod", as(t, authority, authority, serverName), [6]codes.Code{denied, denied, denied, denied, denied, denied}},
		{"who has a longer name", as(t, authority, authority, dataplanev1alpha1.ClientOperator+".example"), [6]codes.Code{denied, denied, denied, denied, denied, denied}},
		{"who signed for himself", as(t, stranger, authority, dataplanev1alpha1.ClientOperator), [6]codes.Code{shut, shut, shut, shut, shut, shut}},
		{"nobody", as(t, authority, authority), [6]codes.Code{shut, shut, shut, shut, shut, shut}},
		{"who speaks no TLS", insecure.NewCredentials(), [6]codes.Code{shut, shut, shut, shut, shut, shut}},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := callAll(t, p.address, test.transport)
			for i, method := range methods {
				if answers[method] != test.want[i] {
					t.Errorf("%s is answered %v, want %v", method, answers[method], test.want[i])
				}
			}
		})
	}
	if p.drains.Load() != 1 {
		t.Errorf("drained %d times, want once, by the operator", p.drains.Load())
	}
}

func TestARotatedAuthorityIsTakenWithoutARestart(t *testing.T) {
	old, renewed := certstest.New(t), certstest.New(t)
	dir := secret(t, old)
	p := start(t, certs.NewDir(dir, logr.Discard()))
	call := func(transport credentials.TransportCredentials) codes.Code {
		_, err := dataplanev1alpha1.NewConfigurationClient(dial(t, p.address, transport)).Status(t.Context(), &dataplanev1alpha1.StatusRequest{})
		return status.Code(err)
	}
	operator := dataplanev1alpha1.ClientOperator
	if got := call(as(t, renewed, old, operator)); got != codes.Unavailable {
		t.Fatalf("a caller of the new authority, before the rotation: %v", got)
	}
	// First the bundle holds both, then the pod shows a certificate of the new
	// one.
	certstest.Replace(t, filepath.Join(dir, dataplanev1alpha1.FileControlCA), append(old.PEM(), renewed.PEM()...))
	eventually(t, "a caller of the new authority is let in", func() bool { return call(as(t, renewed, old, operator)) == codes.OK })
	if got := call(as(t, old, old, operator)); got != codes.OK {
		t.Errorf("a caller of the old authority, during the rotation: %v", got)
	}
	renewed.Write(t, filepath.Join(dir, dataplanev1alpha1.FileControlCert), filepath.Join(dir, dataplanev1alpha1.FileControlKey), serverName)
	eventually(t, "the pod shows its new certificate", func() bool { return call(as(t, renewed, renewed, operator)) == codes.OK })
	certstest.Replace(t, filepath.Join(dir, dataplanev1alpha1.FileControlCA), renewed.PEM())
	eventually(t, "a caller of the old authority is shut out", func() bool { return call(as(t, old, renewed, operator)) == codes.Unavailable })
}

// eventually waits for what takes a second, for up to a minute.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if happened() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("not within a minute: %s", what)
}

// A resumed session would be let in by the bundle of the day on which it began.
func TestSessionsAreNotResumed(t *testing.T) {
	authority := certstest.New(t)
	p := start(t, certs.NewDir(secret(t, authority), logr.Discard()))
	client := &tls.Config{
		RootCAs: authority.Pool(), ServerName: serverName, NextProtos: []string{"h2"},
		Certificates:       []tls.Certificate{authority.Pair(t, dataplanev1alpha1.ClientOperator)},
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	for range 2 {
		conn, err := tls.Dial("tcp", p.address, client)
		if err != nil {
			t.Fatal(err)
		}
		// A ticket would come before the first bytes of HTTP/2.
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if conn.ConnectionState().DidResume {
			t.Error("the second session resumes the first")
		}
		_ = conn.Close()
	}
}
