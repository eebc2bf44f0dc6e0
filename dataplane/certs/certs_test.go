// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
)

// dnsName is the name in the pair's certificate at the moment.
func dnsName(t *testing.T, pair *certs.Pair) string {
	t.Helper()
	certificate, err := pair.Current()
	if err != nil {
		t.Fatal(err)
	}
	return certificate.Leaf.DNSNames[0]
}

func TestARenewedCertificateIsUsed(t *testing.T) {
	authority, dir := certstest.New(t), t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	authority.Write(t, cert, key, "old")
	synctest.Test(t, func(t *testing.T) {
		pair := certs.NewPair(cert, key, logr.Discard())
		if got := dnsName(t, pair); got != "old" {
			t.Fatalf("certificate of %s", got)
		}
		authority.Write(t, cert, key, "renewed")
		if got := dnsName(t, pair); got != "old" {
			t.Errorf("the files were looked at twice within a second: %s", got)
		}
		time.Sleep(time.Second)
		if got := dnsName(t, pair); got != "renewed" {
			t.Errorf("a second later the certificate is still of %s", got)
		}
	})
}

// A Secret is mounted as a link that is swapped.
func TestASwappedLinkIsSeen(t *testing.T) {
	authority, dir := certstest.New(t), t.TempDir()
	for _, name := range []string{"first", "second"} {
		sub := filepath.Join(dir, name)
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		authority.Write(t, filepath.Join(sub, "tls.crt"), filepath.Join(sub, "tls.key"), name)
	}
	link := func(to string) {
		if err := os.Symlink(to, filepath.Join(dir, "new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	link("first")
	synctest.Test(t, func(t *testing.T) {
		pair := certs.NewPair(filepath.Join(dir, "..data", "tls.crt"), filepath.Join(dir, "..data", "tls.key"), logr.Discard())
		if got := dnsName(t, pair); got != "first" {
			t.Fatalf("certificate of %s", got)
		}
		link("second")
		time.Sleep(time.Second)
		if got := dnsName(t, pair); got != "second" {
			t.Errorf("certificate of %s after the swap", got)
		}
	})
}

func TestWhatDoesNotParseLeavesTheOldInUse(t *testing.T) {
	authority, dir := certstest.New(t), t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	authority.Write(t, cert, key, "old")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		pair := certs.NewPair(cert, key, funcr.New(func(_, line string) { log.WriteString(line + "\n") }, funcr.Options{}))
		dnsName(t, pair)
		stranger, ownKey := authority.Issue(t, "new")
		certstest.Replace(t, cert, stranger) // Whose key is not there yet.
		for range 3 {
			time.Sleep(time.Second)
			if got := dnsName(t, pair); got != "old" {
				t.Fatalf("certificate of %s with the key of another", got)
			}
		}
		if got := strings.Count(log.String(), "cannot be reloaded"); got != 1 {
			t.Errorf("logged %d times:\n%s", got, log.String())
		}
		certstest.Replace(t, key, ownKey)
		time.Sleep(time.Second)
		if got := dnsName(t, pair); got != "new" {
			t.Errorf("certificate of %s after its key arrived", got)
		}
	})
}

func TestFilesMayComeLater(t *testing.T) {
	authority, path := certstest.New(t), filepath.Join(t.TempDir(), "ca.crt")
	synctest.Test(t, func(t *testing.T) {
		bundle := certs.NewBundle(path, logr.Discard())
		if _, err := bundle.Current(); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("error of an absent file: %v", err)
		}
		certstest.Replace(t, path, []byte("not PEM"))
		time.Sleep(time.Second)
		if _, err := bundle.Current(); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
			t.Fatalf("error of nonsense: %v", err)
		}
		certstest.Replace(t, path, authority.PEM())
		time.Sleep(time.Second)
		pool, err := bundle.Current()
		if err != nil || !pool.Equal(authority.Pool()) {
			t.Errorf("bundle is not the authority's: %v", err)
		}
	})
}
