// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/apiserver/merge"
)

// Metrics are of watches and messages. Requests are counted by verb and code by
// k8s.io/apiserver (apiserver_request_total).
type Metrics struct {
	watches prometheus.Gauge
	ended   *prometheus.CounterVec
	sends   *prometheus.CounterVec
}

// Why a watch has ended.
const (
	endClient     = "client"
	endSlow       = "slow"
	endSilent     = "silent"
	endGone       = "gone"
	endForgotten  = "forgotten"
	endRelisted   = "relisted"
	endOutdated   = "outdated"
	endIncomplete = "incomplete"
)

// What became of a message, where the pod does not say it.
const (
	sendRefused    = "refused"
	sendUnanswered = "unanswered"
)

// NewMetrics returns Metrics that are registered with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		watches: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wsproxy_api_watches",
			Help: "Watches of connections that are under way.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wsproxy_api_watches_ended_total",
			Help: "Watches of connections that have ended, by reason: client (it left, or its time was over), slow (it did not read), " +
				"silent (a pod said nothing any more), gone (a pod, or the process in it, has ended without a drain), forgotten (a pod has forgotten what the watch had missed), " +
				"relisted (the pods had to be listed again), outdated (it was not known any more which pods there are), incomplete (it could not be learned what a pod did before).",
		}, []string{"reason"}),
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wsproxy_api_sends_total",
			Help: "Messages to clients, by outcome: sent, not_taken (the client does not read), connecting, too_many, too_big, extension, in_doubt (a part of it was written), " +
				"refused (there is no such connection, or it closes) or unanswered (by the pod). Dry runs are not among them.",
		}, []string{"outcome"}),
	}
	// A series that is there from the beginning has a rate from its first event on.
	for _, reason := range []string{endClient, endSlow, endSilent, endGone, endForgotten, endRelisted, endOutdated, endIncomplete} {
		m.ended.WithLabelValues(reason)
	}
	for number := range dataplanev1alpha1.SendResponse_Outcome_name {
		if number != int32(dataplanev1alpha1.SendResponse_OUTCOME_UNSPECIFIED) {
			m.sends.WithLabelValues(outcomeOf(dataplanev1alpha1.SendResponse_Outcome(number)))
		}
	}
	m.sends.WithLabelValues(sendRefused)
	m.sends.WithLabelValues(sendUnanswered)
	r.MustRegister(m.watches, m.ended, m.sends)
	return m
}

func (m *Metrics) begins() { m.watches.Inc() }

func (m *Metrics) ends(reason string) {
	m.watches.Dec()
	m.ended.WithLabelValues(reason).Inc()
}

// reasonOf says why a watch has ended by itself.
func reasonOf(err error) string {
	for _, known := range []struct {
		err    error
		reason string
	}{
		{merge.ErrSlow, endSlow},
		{merge.ErrSilent, endSilent},
		{merge.ErrGone, endGone},
		{merge.ErrForgotten, endForgotten},
		{merge.ErrRelisted, endRelisted},
		{merge.ErrOutdated, endOutdated},
	} {
		if errors.Is(err, known.err) {
			return known.reason
		}
	}
	return endIncomplete
}

// sent counts a message that was to be sent.
func (m *Metrics) sent(outcome dataplanev1alpha1.SendResponse_Outcome, err error) {
	var unanswered *fleet.Unanswered
	became := outcomeOf(outcome)
	switch {
	case errors.As(err, &unanswered):
		became = sendUnanswered
	case err != nil:
		became = sendRefused
	}
	m.sends.WithLabelValues(became).Inc()
}

func outcomeOf(outcome dataplanev1alpha1.SendResponse_Outcome) string {
	return strings.ToLower(strings.TrimPrefix(outcome.String(), "OUTCOME_"))
}
