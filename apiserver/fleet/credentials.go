// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"google.golang.org/grpc/credentials"
)

// The files that hold what pods are shown and how they are verified: the keys of
// the Secret that the operator keeps.
const (
	FileClientCert = "client.crt"
	FileClientKey  = "client.key"
	FileCA         = "ca.crt"
)

// ClientTLS returns the configuration of a connection to the server of that name
// with what the files in the directory hold at this moment. The error says which
// file is unusable.
func ClientTLS(dir, serverName string) (*tls.Config, error) {
	certFile, keyFile := filepath.Join(dir, FileClientCert), filepath.Join(dir, FileClientKey)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("load certificate %s with key %s: %w", certFile, keyFile, err)
	}
	bundle := filepath.Join(dir, FileCA)
	raw, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("load certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("load certificates: %s holds no certificate in PEM form", bundle)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		ServerName:   serverName,
		RootCAs:      pool,
		Certificates: []tls.Certificate{pair},
	}, nil
}

// freshTLS reads the files at each handshake. Handshakes are rare, so nothing is
// kept, and a rotation needs neither a restart nor a new client. A handshake that
// falls into the moment in which the kubelet replaces the files fails, and is
// tried again.
type freshTLS struct {
	credentials.TransportCredentials
	dir, serverName string
}

func newFreshTLS(dir, serverName string) *freshTLS {
	return &freshTLS{TransportCredentials: credentials.NewTLS(nil), dir: dir, serverName: serverName}
}

// ClientHandshake implements credentials.TransportCredentials.
func (f *freshTLS) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := ClientTLS(f.dir, f.serverName)
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, f.serverName, raw)
}

// Clone implements credentials.TransportCredentials.
func (f *freshTLS) Clone() credentials.TransportCredentials {
	c := *f
	c.TransportCredentials = f.TransportCredentials.Clone()
	return &c
}
