// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

// credentials makes the TLS configurations for upstreams from the files of the
// mounted Secret. The files are read at each attempt, which costs little next to
// a TLS handshake and needs no watch; they are parsed when they have changed.
type credentials struct {
	dir string

	mu sync.Mutex
	// last is what made was made from.
	last material    // guarded by mu
	made *tls.Config // guarded by mu; without a server name
}

// material is all that a configuration is made from.
type material struct {
	want      config.UpstreamTLS
	ca        []byte
	cert, key []byte
}

func (m material) equal(o material) bool {
	return m.want == o.want && bytes.Equal(m.ca, o.ca) && bytes.Equal(m.cert, o.cert) && bytes.Equal(m.key, o.key)
}

// config returns the configuration for an address. There is no way to leave the
// upstream's certificate unverified.
func (c *credentials) config(want *config.UpstreamTLS, address string) (*tls.Config, error) {
	made, err := c.current(want)
	if err != nil {
		return nil, err
	}
	made = made.Clone()
	if made.ServerName = want.ServerName; made.ServerName == "" {
		if made.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("server name: %w", err)
		}
	}
	return made, nil
}

// current makes the configuration from the files as they are. Files that cannot
// be used leave the last usable ones in force: certificate and key are two files,
// and a renewal may be seen between them.
func (c *credentials) current(want *config.UpstreamTLS) (*tls.Config, error) {
	m, err := c.read(want)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.made != nil && m.equal(c.last) {
		return c.made, nil
	}
	var made *tls.Config
	if err == nil {
		made, err = m.config()
	}
	switch {
	case err == nil:
		c.last, c.made = m, made
	case c.made == nil || c.last.want != m.want:
		return nil, fmt.Errorf("credentials for the upstream: %w", err)
	}
	return c.made, nil
}

func (c *credentials) read(want *config.UpstreamTLS) (material, error) {
	m := material{want: *want}
	var errs []error
	file := func(name string) []byte {
		raw, err := os.ReadFile(filepath.Join(c.dir, name))
		errs = append(errs, err)
		return raw
	}
	if want.CA {
		m.ca = file(dataplanev1alpha1.FileUpstreamCA)
	}
	if want.ClientCertificate {
		m.cert = file(dataplanev1alpha1.FileUpstreamCert)
		m.key = file(dataplanev1alpha1.FileUpstreamKey)
	}
	return m, errors.Join(errs...)
}

func (m material) config() (*tls.Config, error) {
	made := &tls.Config{
		MinVersion: tls.VersionTLS12,
		// An upstream that picks HTTP/2 could not be spoken to.
		NextProtos: []string{"http/1.1"},
		// Resumed sessions make a thousand reconnects cheaper for both sides. They
		// belong to these certificates, so they go when these change.
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
	}
	if m.want.CA {
		made.RootCAs = x509.NewCertPool()
		if !made.RootCAs.AppendCertsFromPEM(m.ca) {
			return nil, fmt.Errorf("%s holds no certificate", dataplanev1alpha1.FileUpstreamCA)
		}
	}
	if m.want.ClientCertificate {
		pair, err := tls.X509KeyPair(m.cert, m.key)
		if err != nil {
			return nil, fmt.Errorf("%s and %s: %w", dataplanev1alpha1.FileUpstreamCert, dataplanev1alpha1.FileUpstreamKey, err)
		}
		made.Certificates = []tls.Certificate{pair}
	}
	return made, nil
}
