// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

func TestEachChangeIsAnotherValueOfEachSettingAndNothingElse(t *testing.T) {
	c := &cluster{options: options{pods: 10}}
	var before wsproxyv1alpha1.WebSocketProxy
	for change := range 101 {
		raw, err := c.manifest(change)
		if err != nil {
			t.Fatal(err)
		}
		var now wsproxyv1alpha1.WebSocketProxy
		if err := yaml.UnmarshalStrict([]byte(raw), &now); err != nil {
			t.Fatalf("change %d: %v", change, err)
		}
		if errs := now.Validate(); len(errs) > 0 {
			t.Fatalf("change %d: %v", change, errs)
		}
		a, b := before.Spec.Settings, now.Spec.Settings
		if change > 0 && (*a.ConnectionLostTimeout == *b.ConnectionLostTimeout || *a.ReuseAddr == *b.ReuseAddr ||
			*a.ConnectTimeout == *b.ConnectTimeout || *a.MaxRetries == *b.MaxRetries || *a.RetryDelay == *b.RetryDelay ||
			*a.AutoReconnect == *b.AutoReconnect || *a.AutoReconnectMaxRetries == *b.AutoReconnectMaxRetries ||
			*a.AutoReconnectRetryDelay == *b.AutoReconnectRetryDelay) {
			t.Errorf("change %d leaves a setting as it was", change)
		}
		before = now
	}
}

func TestWhatIsNotAsPromisedIsSaid(t *testing.T) {
	o := options{pods: 2, target: time.Second}
	for want, change := range map[string]func(*findings){
		"":                            func(*findings) {},
		"the median is 1.500 s":       func(f *findings) { f.acknowledged = []float64{0.1, 1.5, 1.6} },
		"pods were replaced":          func(f *findings) { f.replaced = true },
		"7 pushes were applied":       func(f *findings) { f.applied = 7 },
		"connections were closed":     func(f *findings) { f.report.Totals.ClosedEarly = 1 },
		"messages were lost, doubled": func(f *findings) { f.report.Totals.Missing = 1 },
	} {
		f := &findings{options: o, kubectl: []float64{1}, acknowledged: []float64{0.2, 0.4, 1.2}, applied: 6, report: &fleet.Report{}}
		f.report.Totals.Wanted, f.report.Totals.Opened = 3, 3
		change(f)
		err := f.check(o)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("check says %v, want %q", err, want)
		}
		if text := f.String(); !strings.Contains(text, "until the last pod had acknowledged") {
			t.Error(text)
		}
	}
}

func TestPushesAreReadFromMetrics(t *testing.T) {
	page := "# TYPE wsproxy_pushes_total counter\nwsproxy_pushes_total{result=\"applied\"} 1000\nwsproxy_pushes_total{result=\"skipped\"} 2e+06\n"
	if a, s, f := counter(page, "applied"), counter(page, "skipped"), counter(page, "failed"); a != 1000 || s != 2e6 || f != 0 {
		t.Errorf("applied %v, skipped %v, failed %v", a, s, f)
	}
}
