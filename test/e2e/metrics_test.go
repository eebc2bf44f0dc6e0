// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/test/metrics"
)

// TestWhatAlertsAndDashboardAskForIsPublished scrapes the three programs as they run.
func TestWhatAlertsAndDashboardAskForIsPublished(t *testing.T) {
	r := newRoom(t, "e2e-metrics", 1)
	p := r.proxy("echo", nil)
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

// conventional has promtool look at the names, the types and the texts of a page. Of
// those of libraries, names are theirs to choose.
func conventional(ctx context.Context, program, page string) error {
	promtool := exec.CommandContext(ctx, "promtool", "check", "metrics")
	promtool.Stdin = strings.NewReader(page)
	out, err := promtool.CombinedOutput()
	if err == nil {
		return nil
	}
	var ours []string
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte("wsproxy_")) || !bytes.Contains(line, []byte(" ")) {
			ours = append(ours, string(line))
		}
	}
	if len(ours) > 0 || len(out) == 0 {
		return fmt.Errorf("promtool check metrics, %s: %w: %s", program, err, strings.Join(ours, ""))
	}
	return nil
}
