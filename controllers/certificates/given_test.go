// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// following is policy where authorities come from somebody else.
var following = func() Policy { p := policy; p.Follow = true; return p }()

// corporate returns the data of a Secret with an authority that lives from one day of
// the epoch to another, after a change.
func corporate(t testing.TB, from, to time.Duration, change ...func(*x509.Certificate)) map[string][]byte {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "corporate"}, NotBefore: epoch.Add(from), NotAfter: epoch.Add(to),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	for _, c := range change {
		c(template)
	}
	pair, err := sign(template, nil)
	if err != nil {
		t.Fatal(err)
	}
	return secretOf(t, pair)
}

func secretOf(t testing.TB, pair *Pair) map[string][]byte {
	t.Helper()
	key, err := pair.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{corev1.TLSCertKey: pair.CertPEM(), corev1.TLSPrivateKeyKey: key}
}

func given(t testing.TB, data map[string][]byte, after time.Duration) *Pair {
	t.Helper()
	pair, err := ParseGiven(data, epoch.Add(after), following)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestWhatCannotBeAnAuthorityIsRefused(t *testing.T) {
	good, other := corporate(t, 0, 90*day), corporate(t, 0, 90*day)
	mixed := maps.Clone(good)
	mixed[corev1.TLSPrivateKeyKey] = other[corev1.TLSPrivateKeyKey]
	for name, c := range map[string]struct {
		data    map[string][]byte
		refusal string
	}{
		"nothing":          {nil, `no key "tls.crt"`},
		"no key":           {map[string][]byte{corev1.TLSCertKey: good[corev1.TLSCertKey]}, `no key "tls.key"`},
		"no PEM":           {map[string][]byte{corev1.TLSCertKey: []byte("x"), corev1.TLSPrivateKeyKey: []byte("x")}, "PEM"},
		"another's key":    {mixed, "private key does not match public key"},
		"no authority":     {corporate(t, 0, 90*day, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature }), "isCA"},
		"not for signing":  {corporate(t, 0, 90*day, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }), "cert sign"},
		"expired":          {corporate(t, -90*day, -day), "expired at 2025-12-31T00:00:00Z"},
		"not yet":          {corporate(t, 2*day, 90*day), "not valid before 2026-01-03T00:00:00Z"},
		"for other names":  {corporate(t, 0, 90*day, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} }), "not permitted"},
		"not for Services": {corporate(t, 0, 90*day, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"wsproxy.io"} }), "not permitted"},
		"for servers only": {corporate(t, 0, 90*day, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseGiven(c.data, epoch.Add(day), following); err == nil || !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("got %v, want %q", err, c.refusal)
			}
		})
	}
}

// cert-manager makes keys of these kinds, and writes the whole chain of an authority that
// is not its own root.
func TestAuthoritiesOfOthersSign(t *testing.T) {
	root := given(t, corporate(t, 0, 300*day), 0)
	intermediate, err := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "intermediate"}, NotBefore: epoch, NotAfter: epoch.Add(90 * day),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}, root)
	if err != nil {
		t.Fatal(err)
	}
	chain := secretOf(t, intermediate)
	chain[corev1.TLSCertKey] = append(chain[corev1.TLSCertKey], root.CertPEM()...)

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "RSA"}, NotBefore: epoch, NotAfter: epoch.Add(90 * day), BasicConstraintsValid: true, IsCA: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]map[string][]byte{
		"an intermediate with its chain": chain,
		"RSA, without a key usage":       secretOf(t, &Pair{certificate, key}),
	} {
		t.Run(name, func(t *testing.T) {
			s := State{}.Follow(given(t, data, day), epoch.Add(day))
			if err := verify(s, issue(t, s, day), 2*day); err != nil {
				t.Error(err)
			}
			if n := len(s.trusted()); n != 1 {
				t.Errorf("%d are trusted", n)
			}
		})
	}
}

// follow is what an operator does that finds an authority of somebody else at a time.
func follow(t *testing.T, s State, data map[string][]byte, after time.Duration) State {
	t.Helper()
	if data != nil {
		s = s.Follow(given(t, data, after), epoch.Add(after))
	}
	return advanceBy(t, s, after, following)
}

func TestAnAuthorityOfSomebodyElseIsFollowedWithOverlap(t *testing.T) {
	first := corporate(t, -400*day, 100*day)
	s := follow(t, State{}, first, 0)
	if s.Current == nil || s.Next != nil || s.Previous != nil {
		t.Fatal("the first does not sign at once")
	}
	old := issue(t, s, 0)
	if later := follow(t, s, first, 99*day); !later.equal(s) {
		t.Fatal("an authority of ours was made, or theirs replaced")
	}

	// It was made long before it was put there.
	second := corporate(t, -300*day, 500*day)
	both := follow(t, s, second, 10*day)
	if both.Next == nil || !both.undistributed() {
		t.Fatal("no overlap")
	}
	for name, after := range map[string]time.Duration{"an hour later": 10*day + time.Hour, "days later": 14 * day} {
		if s := follow(t, both, second, after); !s.equal(both) {
			t.Errorf("%s it is not as it was, and nobody was seen to have the second", name)
		}
	}
	if put := follow(t, both, first, 11*day); !put.equal(s) {
		t.Error("the first was put back, and the second is still trusted")
	}
	if third := follow(t, both, corporate(t, 0, 90*day), 11*day); len(third.trusted()) != 2 || third.Next.Certificate.Equal(both.Next.Certificate) {
		t.Error("the third did not take the place of the second, which nobody was given a certificate of")
	}
	if err := verify(both, old, 11*day); err != nil {
		t.Error(err)
	}

	both.Distributed = epoch.Add(11 * day)
	if s := follow(t, both, second, 12*day-time.Minute); !s.equal(both) {
		t.Error("signed with before everybody can know it")
	}
	// What is in their Secret may be broken then.
	for name, data := range map[string]map[string][]byte{"there": second, "not usable": nil} {
		after := follow(t, both, data, 12*day)
		if after.Next != nil || after.Previous == nil || !after.Current.Certificate.Equal(both.Next.Certificate) {
			t.Fatalf("%s: the second does not sign after the overlap", name)
		}
		fresh := issue(t, after, 12*day)
		if err := verify(both, fresh, 12*day); err != nil {
			t.Error(err)
		}
		if after.Good(old, server, epoch.Add(12*day)) {
			t.Error("the certificate of the first is kept")
		}
		after.Distributed = epoch.Add(13 * day)
		if end := follow(t, after, data, 14*day); end.Previous != nil || verify(end, old, 14*day) == nil {
			t.Error("the first is trusted when everybody has a certificate of the second")
		}
	}
}

func TestWhoWasAwayWhenTheAuthorityOfSomebodyElseExpired(t *testing.T) {
	s := follow(t, State{}, corporate(t, 0, 30*day), 0)
	late := follow(t, s, corporate(t, 20*day, 90*day), 40*day)
	if late.Next != nil || late.Previous != nil || verify(late, issue(t, late, 40*day), 41*day) != nil {
		t.Error("it does not go on at once with the one that is valid")
	}
}

// An authority that nobody replaces must not be signed with again and again: each
// certificate is a write of a Secret.
func TestWhatEndsWithTheAuthorityIsKept(t *testing.T) {
	s := follow(t, State{}, corporate(t, 0, 30*day), 0)
	for name, after := range map[string]time.Duration{"a minute before the end": 30*day - time.Minute, "after the end": 31 * day} {
		last := issue(t, s, after)
		a := New(Options{Policy: following, Now: func() time.Time { return epoch.Add(after) }})
		a.state = s
		if kept, err := a.Keep(last, server); err != nil || kept != last {
			t.Errorf("%s: replaced by one that ends at the same time (%v)", name, err)
		}
		if wait := a.Renewal(last).Sub(epoch.Add(after)); wait < time.Hour {
			t.Errorf("%s: looked at again after %v", name, wait)
		}
	}
	next := follow(t, s, corporate(t, 20*day, 90*day), 40*day)
	if next.Good(issue(t, s, 31*day), server, epoch.Add(40*day)) {
		t.Error("kept though there is another authority")
	}
}

func TestAShortLifeOfTheNextAuthorityIsNotSpentOnWaiting(t *testing.T) {
	long, short := corporate(t, 0, 90*day), corporate(t, 0, 10*day)
	both := follow(t, follow(t, State{}, long, 0), short, 2*day)
	if s := follow(t, both, short, 6*day-time.Hour); !s.equal(both) {
		t.Error("signed with though somebody lacks it and there is time")
	}
	if s := follow(t, both, short, 6*day); s.Next != nil || s.Previous == nil {
		t.Error("half of its life is gone, and it does not sign")
	}
	// An operator that was away finds it expired.
	if s := follow(t, both, nil, 11*day); s.Next != nil || s.Previous != nil || !s.Current.Certificate.Equal(both.Current.Certificate) {
		t.Error("it signs after its life, or is waited for")
	}
}

func TestFromOurAuthorityToSomebodyElsesAndBack(t *testing.T) {
	own := advance(t, State{}, 0)
	both := follow(t, own, corporate(t, 0, 300*day), 10*day)
	both.Distributed = epoch.Add(10 * day)
	theirs := follow(t, both, corporate(t, 0, 300*day), 0) // Another one yet, before the overlap is over.
	if !theirs.Current.Certificate.Equal(own.Current.Certificate) {
		t.Fatal("signed with too early")
	}
	theirs = follow(t, both, nil, 11*day)
	if theirs.Current.Certificate.Equal(own.Current.Certificate) {
		t.Fatal("ours still signs")
	}
	// Without a Secret to follow, theirs goes on until two thirds of its life are over.
	if s := advance(t, theirs, 100*day); s.Next != nil || !s.Current.Certificate.Equal(theirs.Current.Certificate) {
		t.Error("theirs was replaced at once")
	}
	if s := advance(t, theirs, 201*day); s.Next == nil {
		t.Error("ours does not take over")
	}
}

func FuzzParseGiven(f *testing.F) {
	data := corporate(f, 0, 90*day)
	f.Add(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	f.Add([]byte("-----BEGIN CERTIFICATE-----"), []byte{})
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		pair, err := ParseGiven(map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key}, epoch.Add(day), following)
		if err == nil && (pair == nil || !pair.Certificate.IsCA) {
			t.Error("read without an error, and there is no authority")
		}
	})
}
