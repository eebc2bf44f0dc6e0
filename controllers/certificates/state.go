// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"
)

// The keys of the Secret.
const (
	keyCurrentCert  = "ca.crt"
	keyCurrentKey   = "ca.key"
	keyNextCert     = "next.crt"
	keyNextKey      = "next.key"
	keySince        = "next.since"
	keyDistributed  = "next.distributed"
	keyPreviousCert = "previous.crt"
)

// State is an authority in the course of its rotation.
type State struct {
	// Current signs.
	Current *Pair
	// Next is trusted already and signs soon; nil most of the time.
	Next *Pair
	// Since is when Next was found, to the second, if somebody else made it; else zero.
	Since time.Time
	// Distributed is when everybody was first seen to be given what this state says,
	// while there is a Next or a Previous: whom to trust, and certificates of Current.
	// To the second; zero: not yet.
	Distributed time.Time
	// Previous signed before and is trusted while what it signed may still be in use.
	// Its key is gone. May be nil.
	Previous *x509.Certificate
}

// ParseState reads the data of the Secret. Errors: what is malformed. It is not
// repaired: a new authority in its place would cut off every pod.
func ParseState(data map[string][]byte) (State, error) {
	var s State
	var err error
	if s.Current, err = ParsePair(data[keyCurrentCert], data[keyCurrentKey]); err != nil {
		return State{}, fmt.Errorf("%s, %s: %w", keyCurrentCert, keyCurrentKey, err)
	}
	if len(data[keyNextCert]) > 0 {
		if s.Next, err = ParsePair(data[keyNextCert], data[keyNextKey]); err != nil {
			return State{}, fmt.Errorf("%s, %s: %w", keyNextCert, keyNextKey, err)
		}
	}
	for key, at := range map[string]*time.Time{keySince: &s.Since, keyDistributed: &s.Distributed} {
		if len(data[key]) > 0 {
			if *at, err = time.Parse(time.RFC3339, string(data[key])); err != nil {
				return State{}, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	if len(data[keyPreviousCert]) > 0 {
		if s.Previous, err = parseCertificate(data[keyPreviousCert]); err != nil {
			return State{}, fmt.Errorf("%s: %w", keyPreviousCert, err)
		}
	}
	return s, nil
}

// Data returns what ParseState reads.
func (s State) Data() (map[string][]byte, error) {
	key, err := s.Current.KeyPEM()
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{keyCurrentCert: s.Current.CertPEM(), keyCurrentKey: key}
	if s.Next != nil {
		if data[keyNextKey], err = s.Next.KeyPEM(); err != nil {
			return nil, err
		}
		data[keyNextCert] = s.Next.CertPEM()
	}
	for key, at := range map[string]time.Time{keySince: s.Since, keyDistributed: s.Distributed} {
		if !at.IsZero() {
			data[key] = []byte(at.UTC().Format(time.RFC3339))
		}
	}
	if s.Previous != nil {
		data[keyPreviousCert] = encodeCertificate(s.Previous)
	}
	return data, nil
}

// Advance returns the state as it should be now: with an authority, with the
// next one when its time has come, signing with it after the overlap, and
// without one that is not needed any more. Where authorities come from somebody else
// (see Follow), it may have none.
func (s State) Advance(now time.Time, policy Policy) (State, error) {
	var err error
	if s.Current == nil && !policy.Follow {
		if s.Current, err = newAuthority(now, policy); err != nil {
			return State{}, err
		}
	}
	if s.Current == nil {
		return s, nil
	}
	if s.Previous != nil && !now.Before(s.retirement(policy)) {
		s.Previous = nil
		if s.Next == nil {
			s.Distributed = time.Time{}
		}
	}
	if s.Next != nil && now.After(s.Next.Certificate.NotAfter) {
		s.Next, s.Since, s.Distributed = nil, time.Time{}, time.Time{}
	}
	current := s.Current.Certificate
	if s.Next == nil && !policy.Follow && !now.Before(renewal(current.NotBefore, current.NotAfter)) {
		if s.Next, err = newAuthority(now, policy); err != nil {
			return State{}, err
		}
		s.Distributed = time.Time{}
	}
	if s.Next != nil && !now.Before(s.promotion(policy)) {
		s.Current, s.Next, s.Previous, s.Since, s.Distributed = s.Next, nil, current, time.Time{}, time.Time{}
		if now.After(current.NotAfter) {
			s.Previous = nil
		}
	}
	return s, nil
}

// Due returns when Advance would change the state next, if nobody else does. Where
// authorities come from somebody else, it is not later than when the current one
// expires.
func (s State) Due(policy Policy) time.Time {
	current := s.Current.Certificate
	due := current.NotAfter
	switch {
	case s.Next != nil:
		due = s.promotion(policy)
	case !policy.Follow:
		due = renewal(current.NotBefore, current.NotAfter)
	}
	if s.Previous != nil && s.retirement(policy).Before(due) {
		due = s.retirement(policy)
	}
	return due
}

// promotion is when the next authority begins to sign: after it was distributed
// and the overlap has passed, but at the latest in the middle of what is left of
// the current one, and of its own life, which somebody else may have made short. Whoever
// could not be reached until then must not cost the others the time in which new
// certificates replace those that end with it.
func (s State) promotion(policy Policy) time.Time {
	made := s.Since
	if made.IsZero() {
		made = s.Next.Certificate.NotBefore.Add(policy.Skew)
	}
	left := min(s.Current.Certificate.NotAfter.Sub(made), s.Next.Certificate.NotAfter.Sub(made))
	latest := made.Add(left / 2)
	if at := s.Distributed.Add(policy.Overlap); !s.Distributed.IsZero() && at.Before(latest) {
		return at
	}
	return latest
}

// retirement is when the previous authority is not trusted any more: after everybody
// was given certificates of the current one and the overlap has passed, else when it
// expires. While there is a next one, Distributed says nothing of that.
func (s State) retirement(policy Policy) time.Time {
	expiry := s.Previous.NotAfter.Add(time.Nanosecond)
	if at := s.Distributed.Add(policy.Overlap); s.Next == nil && !s.Distributed.IsZero() && at.Before(expiry) {
		return at
	}
	return expiry
}

// undistributed says whether it is time to see who has been given what the state says.
func (s State) undistributed() bool {
	return (s.Next != nil || s.Previous != nil) && s.Distributed.IsZero()
}

// Bundle returns every authority that is to be trusted, as PEM, the current one
// first.
func (s State) Bundle() []byte {
	var b bytes.Buffer
	for _, c := range s.trusted() {
		b.Write(encodeCertificate(c))
	}
	return b.Bytes()
}

func (s State) trusted() []*x509.Certificate {
	certificates := []*x509.Certificate{s.Current.Certificate}
	if s.Next != nil {
		certificates = append(certificates, s.Next.Certificate)
	}
	if s.Previous != nil {
		certificates = append(certificates, s.Previous)
	}
	return certificates
}

// equal says whether two states trust the same, sign with the same and know the
// same of its distribution.
func (s State) equal(other State) bool {
	return s.Current != nil && other.Current != nil &&
		s.Current.Certificate.Equal(other.Current.Certificate) && bytes.Equal(s.Bundle(), other.Bundle()) &&
		s.Since.Equal(other.Since) && s.Distributed.Equal(other.Distributed)
}

func newAuthority(now time.Time, policy Policy) (*Pair, error) {
	pair, err := sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "wsproxy " + now.UTC().Format(time.RFC3339)},
		NotBefore:             now.Add(-policy.Skew),
		NotAfter:              now.Add(policy.CAValidity),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("make certificate authority: %w", err)
	}
	return pair, nil
}
