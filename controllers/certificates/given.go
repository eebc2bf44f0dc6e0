// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// ParseGiven reads an authority that somebody else keeps from the data of a Secret of
// type kubernetes.io/tls, as cert-manager writes it for a Certificate with isCA. Only the
// first certificate counts, and it alone becomes trusted: whoever else its own issuer
// signs for could otherwise call pods.
//
// Errors say why it cannot be used: what is missing or malformed, a key that is not the
// certificate's, a certificate that is no authority's or not valid now, and one whose
// certificates nobody would believe, because of its name constraints for example.
func ParseGiven(data map[string][]byte, now time.Time, policy Policy) (*Pair, error) {
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(data[key]) == 0 {
			return nil, fmt.Errorf("it has no key %q", key)
		}
	}
	pair, err := ParsePair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, err
	}
	c := pair.Certificate
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return nil, errors.New("its certificate is not that of a certificate authority (isCA)")
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New("its certificate may not be used to sign certificates (cert sign)")
	case now.After(c.NotAfter):
		return nil, fmt.Errorf("its certificate expired at %s", c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return nil, fmt.Errorf("its certificate is not valid before %s", c.NotBefore.UTC().Format(time.RFC3339))
	}
	return pair, try(State{Current: pair}, now, policy)
}

// try says what is wrong with what an authority signs.
func try(s State, now time.Time, policy Policy) error {
	roots := x509.NewCertPool()
	roots.AddCert(s.Current.Certificate)
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		// Pods and callers have names like the first one, the aggregated API server like the others.
		request := Request{DNSNames: []string{"test.wsproxy.io", "test.test", "test.test.svc", "test.test.svc.cluster.local"}, Usage: usage}
		pair, err := s.Issue(request, now, policy)
		if err != nil {
			return err
		}
		_, err = pair.Certificate.Verify(x509.VerifyOptions{
			Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}, DNSName: request.DNSNames[0],
		})
		if err != nil {
			return fmt.Errorf("what it signs is not believed: %w", err)
		}
	}
	return nil
}

// Follow returns the state after the authority that somebody else keeps was found to be
// this one: the first signs at once, another one becomes the next.
func (s State) Follow(given *Pair, now time.Time) State {
	switch c := given.Certificate; {
	case s.Current == nil:
		s.Current = given
	case c.Equal(s.Current.Certificate):
		if s.Next != nil { // It was put back.
			s.Next, s.Since, s.Distributed = nil, time.Time{}, time.Time{}
		}
	case s.Next == nil || !c.Equal(s.Next.Certificate):
		s.Next, s.Since, s.Distributed = given, wholeSecond(now), time.Time{}
	}
	return s
}

// wholeSecond is the first that is not before a time: a Secret has no fractions, and an
// earlier one would shorten an overlap.
func wholeSecond(t time.Time) time.Time {
	return t.Add(time.Second - 1).Truncate(time.Second)
}
