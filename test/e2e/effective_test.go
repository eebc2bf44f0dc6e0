// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"testing"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

func seconds(n int32) wsproxyv1alpha1.EffectiveInteger      { return own(n, "seconds") }
func milliseconds(n int32) wsproxyv1alpha1.EffectiveInteger { return own(n, "milliseconds") }
func attempts(n int32) wsproxyv1alpha1.EffectiveInteger     { return own(n, "attempts") }

func own(n int32, unit string) wsproxyv1alpha1.EffectiveInteger {
	return wsproxyv1alpha1.EffectiveInteger{Value: n, Unit: unit, Source: wsproxyv1alpha1.SourceProxy}
}

// effective compares what the status says is in force.
func effective(t *testing.T, p *wsproxyv1alpha1.WebSocketProxy, want wsproxyv1alpha1.EffectiveSettings) {
	t.Helper()
	if p.Status.EffectiveSettings == nil {
		t.Fatal("status.effectiveSettings is missing")
	}
	if got := *p.Status.EffectiveSettings; got != want {
		t.Errorf("status.effectiveSettings is\n%+v\nwant\n%+v", got, want)
	}
}

func describe(e wsproxyv1alpha1.EffectiveInteger) string {
	return fmt.Sprintf("%d %s from %s", e.Value, e.Unit, e.Source)
}

// number reads what a pod or an object says; what is no number equals nothing.
func number(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return -1
	}
	return n
}
