// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import "time"

// Policy says how long certificates live.
type Policy struct {
	// CAValidity is the life of an authority. After two thirds of it the next
	// one is made.
	CAValidity time.Duration
	// LeafValidity is the life of what it issues, renewed after two thirds.
	LeafValidity time.Duration
	// Overlap is how long the next authority is trusted before it signs, counted
	// from when every Secret and the APIService had it. It must be longer than a
	// kubelet takes to update a mounted Secret (a minute or two), or pods would
	// be called with certificates that they do not trust.
	//
	// After it has begun to sign and all have a certificate of it, the one before is
	// trusted for as long again.
	Overlap time.Duration
	// Skew is how far clocks may differ: every certificate is valid that long
	// before it was issued.
	Skew time.Duration
	// Follow says that authorities come from somebody else, and that none is made here.
	Follow bool
}

// DefaultPolicy is a year for the authority, 90 days for what it issues, and a
// day between making the next authority and using it.
func DefaultPolicy() Policy {
	const day = 24 * time.Hour
	return Policy{CAValidity: 365 * day, LeafValidity: 90 * day, Overlap: day, Skew: 5 * time.Minute}
}

// renewal is when a certificate is renewed: after two thirds of its life, which
// leaves the last third for an operator that is away.
func renewal(notBefore, notAfter time.Time) time.Time {
	return notBefore.Add(notAfter.Sub(notBefore) * 2 / 3)
}
