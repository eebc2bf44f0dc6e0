// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"os"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	ofproxies "github.com/wsproxy/wsproxy/controllers/objects"
)

const monitored = chartDir + "/ci/monitoring-values.yaml"

// The braces of Prometheus and Grafana are not those of Helm.
func TestAlertsAndDashboardAreTakenOverAsTheyAre(t *testing.T) {
	all := parse(t, template(t, "--values", monitored))
	read := func(name string) []byte {
		t.Helper()
		raw, err := os.ReadFile(chartDir + "/files/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	var rules any
	if err := yaml.Unmarshal(read("rules/wsproxy.yaml"), &rules); err != nil {
		t.Fatal(err)
	}
	for _, d := range differences("spec", rules, all.get(t, "PrometheusRule", "wsproxy").Object["spec"]) {
		t.Error(d)
	}
	var want, got any
	text, _, _ := unstructured.NestedString(all.get(t, "ConfigMap", "wsproxy-dashboard").Object, "data", "wsproxy.json")
	if err := json.Unmarshal(read("dashboards/wsproxy.json"), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	for _, d := range differences("dashboard", want, got) {
		t.Error(d)
	}
}

// A monitor selects by labels and names a port: both have to be there.
func TestMonitorsLeadToPortsThatThereAre(t *testing.T) {
	all := parse(t, template(t, "--values", monitored))
	for _, name := range []string{"operator", "apiserver"} {
		monitor := all.get(t, "ServiceMonitor", "wsproxy-"+name).Object
		service := all.get(t, "Service", "wsproxy-"+name+"-metrics")
		selected, _, _ := unstructured.NestedStringMap(monitor, "spec", "selector", "matchLabels")
		if !contains(service.GetLabels(), selected) {
			t.Errorf("the monitor of %s selects %v, and its Service has %v", name, selected, service.GetLabels())
		}
		if others := all.get(t, "Service", "wsproxy-apiserver").GetLabels(); contains(others, selected) {
			t.Errorf("the monitor of %s selects the Service of the API, too", name)
		}
		ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
		if port := endpoint(t, monitor, "endpoints")["port"]; ports[0].(map[string]any)["name"] != port {
			t.Errorf("the monitor of %s asks for port %v of %v", name, port, ports)
		}
		pods, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
		labels, _, _ := unstructured.NestedStringMap(all.get(t, "Deployment", "wsproxy-"+name).Object, "spec", "template", "metadata", "labels")
		if !contains(labels, pods) {
			t.Errorf("the Service selects %v, and the pods have %v", pods, labels)
		}
		target := ports[0].(map[string]any)["targetPort"]
		if number := containerPort(t, all.container(t, "wsproxy-"+name), target); number != 8080 {
			t.Errorf("port %v of %s is %d", target, name, number)
		}
	}
	monitor := all.get(t, "PodMonitor", "wsproxy-dataplane").Object
	selected, _, _ := unstructured.NestedStringMap(monitor, "spec", "selector", "matchLabels")
	if !contains(ofproxies.Labels("chat"), selected) {
		t.Errorf("the PodMonitor selects %v, and pods have %v", selected, ofproxies.Labels("chat"))
	}
	// The golden file says how the pods of a proxy look.
	raw, err := os.ReadFile("../../controllers/objects/testdata/minimal.deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pods := parse(t, string(raw))
	if len(pods) != 1 {
		t.Fatalf("%d objects", len(pods))
	}
	for _, d := range pods {
		list, _, _ := unstructured.NestedSlice(d.Object, "spec", "template", "spec", "containers")
		port := endpoint(t, monitor, "podMetricsEndpoints")["port"]
		if number := containerPort(t, list[0].(map[string]any), port); number != dataplanev1alpha1.PortMetrics {
			t.Errorf("port %v of a data plane is %d", port, number)
		}
	}
}

// contains says whether labels have all of the selected.
func contains(labels, selected map[string]string) bool {
	for name, value := range selected {
		if labels[name] != value {
			return false
		}
	}
	return len(selected) > 0
}

func endpoint(t *testing.T, monitor map[string]any, field string) map[string]any {
	t.Helper()
	list, _, err := unstructured.NestedSlice(monitor, "spec", field)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d endpoints: %v", len(list), err)
	}
	return list[0].(map[string]any)
}

// containerPort returns the number of a port, 0 where there is none of that name.
func containerPort(t *testing.T, container map[string]any, name any) int64 {
	t.Helper()
	list, _, err := unstructured.NestedSlice(container, "ports")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		port := p.(map[string]any)
		if port["name"] != name {
			continue
		}
		switch number := port["containerPort"].(type) {
		case int64:
			return number
		case float64:
			return int64(number)
		}
	}
	return 0
}
