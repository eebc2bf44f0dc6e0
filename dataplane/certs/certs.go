// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/go-logr/logr"
)

// Pair is a certificate, with its chain, and its key.
type Pair struct {
	files files[*tls.Certificate]
}

// NewPair returns the pair in two PEM files, which need not exist yet.
func NewPair(certFile, keyFile string, logger logr.Logger) *Pair {
	read := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("load certificate %s with key %s: %w", certFile, keyFile, err)
		}
		return &pair, nil
	}
	return &Pair{files[*tls.Certificate]{paths: []string{certFile, keyFile}, read: read, logger: logger}}
}

// Current returns the pair as it is now, at most a second old, or the last one
// that was usable. The error says why there never was one.
func (p *Pair) Current() (*tls.Certificate, error) { return p.files.current() }

// GetCertificate is for the field of tls.Config of that name.
func (p *Pair) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.Current() }

// GetClientCertificate is for the field of tls.Config of that name.
func (p *Pair) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return p.Current()
}

// Bundle is a set of certificates to verify others with.
type Bundle struct {
	files files[*x509.CertPool]
}

// NewBundle returns the certificates of a PEM file, which need not exist yet.
func NewBundle(file string, logger logr.Logger) *Bundle {
	read := func() (*x509.CertPool, error) {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("load certificates: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("load certificates: %s holds no certificate in PEM form", file)
		}
		return pool, nil
	}
	return &Bundle{files[*x509.CertPool]{paths: []string{file}, read: read, logger: logger}}
}

// Current returns the certificates as they are now, at most a second old, or the
// last ones that were usable. The error says why there never were any.
func (b *Bundle) Current() (*x509.CertPool, error) { return b.files.current() }
