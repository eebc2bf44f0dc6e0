// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Expiries are when the certificates of the installation expire.
type Expiries struct{ at *prometheus.GaugeVec }

// NewExpiries returns Expiries that are registered with r.
func NewExpiries(r prometheus.Registerer) *Expiries {
	e := &Expiries{prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wsproxy_certificate_expiry_timestamp_seconds",
		Help: "When a certificate that is in use expires, in seconds since 1970, by what it is for.",
	}, []string{"certificate"})}
	r.MustRegister(e.at)
	return e
}

// Of is what a certificate is for.
type Of string

// The certificates of the installation.
const (
	// OfAuthority signs all others of ours.
	OfAuthority Of = "authority"
	// OfOperator is shown to data-plane pods.
	OfOperator Of = "operator"
	// OfAPIServer is shown to kube-apiserver.
	OfAPIServer Of = "apiserver"
	// OfAPIServerClient is shown to data-plane pods.
	OfAPIServerClient Of = "apiserver-client"
)

// Note notes the certificate that is in use from now on. Nil notes nothing.
func (e *Expiries) Note(of Of, notAfter time.Time) {
	if e == nil {
		return
	}
	e.at.WithLabelValues(string(of)).Set(float64(notAfter.Unix()))
}
