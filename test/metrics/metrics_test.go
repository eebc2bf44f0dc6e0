// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/hack/metricsdoc/inventory"
)

const (
	rulesFile     = "../../charts/wsproxy/files/rules/wsproxy.yaml"
	dashboardFile = "../../charts/wsproxy/files/dashboards/wsproxy.json"
)

// ofLibraries are the metrics of libraries that are asked for. test/e2e sees that they
// are there.
var ofLibraries = []string{"process_open_fds", "process_max_fds", "process_cpu_seconds_total", "process_resident_memory_bytes", "apiserver_request_total"}

func expressions(t *testing.T) []Expression {
	t.Helper()
	alerts, err := Alerts(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	panels, err := Panels(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(alerts) == 0 || len(panels) == 0 {
		t.Fatalf("%d alerts, %d panels", len(alerts), len(panels))
	}
	return append(alerts, panels...)
}

func TestAlertsAndDashboardAskForMetricsThatThereAre(t *testing.T) {
	programs, err := inventory.Programs()
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Clone(ofLibraries)
	for _, p := range programs {
		for _, m := range p.Metrics {
			known = append(known, m.Name)
		}
	}
	for _, e := range expressions(t) {
		asked := e.Metrics()
		if len(asked) == 0 {
			t.Errorf("%s asks for nothing: %s", e.Where, e.Text)
		}
		for _, name := range asked {
			if !slices.Contains(known, name) {
				t.Errorf("%s asks for %s, which nobody publishes", e.Where, name)
			}
		}
	}
}

func TestNamesAreFoundInExpressions(t *testing.T) {
	for text, want := range map[string]string{
		`sum by (namespace, proxy) (rate(a_total{by="x", cause!~"Y|Z"}[10m])) > on (namespace) group_left 0.01 * sum(b)`: "a_total b",
		`histogram_quantile(0.5, sum by (le) (rate(c_seconds_bucket{e=~"$f"}[$__rate_interval])))`:                       "c_seconds",
		`label_values(d{namespace=~"$namespace"}, proxy)`:                                                                "d",
		`count(max by (x) (e == 0)) or vector(0)`:                                                                        "e",
	} {
		if got := strings.Join(Expression{Text: text}.Metrics(), " "); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestEachAlertHasATest(t *testing.T) {
	tests, err := os.ReadFile("testdata/rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := Alerts(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts {
		if !bytes.Contains(tests, []byte(`alertname="`+a.Where+`"`)) {
			t.Errorf("no test lets %s fire", a.Where)
		}
	}
}

func TestAlerts(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("there is no promtool; make test-api installs it")
	}
	for _, arguments := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", "testdata/rules_test.yaml"}} {
		if out, err := exec.CommandContext(t.Context(), promtool, arguments...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
		}
	}
}
