// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"time"
)

// Request describes a certificate. Each is for one use only, so that what a pod
// holds cannot be used to call another pod.
type Request struct {
	// DNSNames are the names in it, at least one. There is no other kind of name.
	DNSNames []string
	// Usage is x509.ExtKeyUsageServerAuth or x509.ExtKeyUsageClientAuth.
	Usage x509.ExtKeyUsage
}

// Issue returns a certificate of the current authority. It never outlives the
// authority.
func (s State) Issue(request Request, now time.Time, policy Policy) (*Pair, error) {
	notAfter := now.Add(policy.LeafValidity)
	if expiry := s.Current.Certificate.NotAfter; expiry.Before(notAfter) {
		notAfter = expiry
	}
	pair, err := sign(&x509.Certificate{
		// A common name has at most 64 characters (RFC 5280, ub-common-name) and
		// is read by nobody: the name is the DNS name.
		Subject:               pkix.Name{CommonName: "wsproxy"},
		DNSNames:              request.DNSNames,
		NotBefore:             now.Add(-policy.Skew),
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{request.Usage},
		BasicConstraintsValid: true,
	}, s.Current)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", request.DNSNames[0], err)
	}
	return pair, nil
}

// Good says whether a certificate is what Issue would return: of the current
// authority, for the same names and use, and not due for renewal. One that ends with
// the authority is as good as any: an authority that somebody else has let expire must
// not be signed with over and over.
func (s State) Good(pair *Pair, request Request, now time.Time) bool {
	c := pair.Certificate
	return c.CheckSignatureFrom(s.Current.Certificate) == nil &&
		slices.Equal(c.DNSNames, request.DNSNames) &&
		len(c.ExtKeyUsage) == 1 && c.ExtKeyUsage[0] == request.Usage &&
		(now.Before(renewal(c.NotBefore, c.NotAfter)) || s.endsWith(c))
}

// endsWith says whether a certificate ends with the authority, so that no other of it
// would end later.
func (s State) endsWith(c *x509.Certificate) bool {
	return !c.NotAfter.Before(s.Current.Certificate.NotAfter)
}
