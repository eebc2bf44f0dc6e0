// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/test/metrics"
)

// TestWhatAlertsAndDashboardAskForIsPublished scrapes the three programs as they run.
func TestWhatAlertsAndDashboardAskForIsPublished(t *testing.T) {
	r := newRoom(t, "e2e-metrics", 1)
	p := r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.Replicas = new(int32(1)) })
	r.talk(p, 5)
	conn, _ := r.dial(p, "")
	_ = conn.Close()
	r.listed("wsc")
	pod := r.pods(p.Name)[0]
	pages := map[string]string{
		"dataplane": fmt.Sprintf("http://%s:%d/metrics", pod.Status.PodIP, dataplanev1alpha1.PortMetrics),
		"operator":  fmt.Sprintf("http://%s:8080/metrics", r.leader(nil).Status.PodIP),
		"apiserver": fmt.Sprintf("http://%s:8080/metrics", r.part("apiserver")[0].Status.PodIP),
	}
	asked := expressions(t)
	var published map[string]bool
	eventually(t, 30*time.Second, "every metric to be published", func(ctx context.Context) error {
		published = map[string]bool{}
		for program, url := range pages {
			page, err := scrape(ctx, url)
			if err != nil {
				return err
			}
			if err := conventional(ctx, program, page); err != nil {
				return err
			}
			for line := range strings.Lines(page) {
				if family, ok := strings.CutPrefix(line, "# TYPE "); ok {
					name, _, _ := strings.Cut(family, " ")
					published[name] = true
				}
			}
		}
		for _, e := range asked {
			for _, name := range e.Metrics() {
				if !published[name] {
					return fmt.Errorf("%s asks for %s, which nobody publishes", e.Where, name)
				}
			}
		}
		return nil
	})
	t.Logf("%d expressions, %d metrics", len(asked), len(published))
}

// expressions returns those of the alerts and of the dashboard.
func expressions(t *testing.T) []metrics.Expression {
	t.Helper()
	alerts, err := metrics.Alerts("../../charts/wsproxy/files/rules/wsproxy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	panels, err := metrics.Panels("../../charts/wsproxy/files/dashboards/wsproxy.json")
	if err != nil {
		t.Fatal(err)
	}
	return append(alerts, panels...)
}

// conventional has promtool look at the names, the types and the texts of what is ours
// on a page: two counters of k8s.io/apiserver are not called as they should be.
func conventional(ctx context.Context, program, page string) error {
	var ours strings.Builder
	for line := range strings.Lines(page) {
		if strings.Contains(line, "wsproxy_") {
			ours.WriteString(line)
		}
	}
	promtool := exec.CommandContext(ctx, "promtool", "check", "metrics")
	promtool.Stdin = strings.NewReader(ours.String())
	if out, err := promtool.CombinedOutput(); err != nil {
		return fmt.Errorf("promtool check metrics, %s: %w: %s", program, err, out)
	}
	return nil
}
