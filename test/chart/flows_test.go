// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"maps"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	ofproxies "github.com/wsproxy/wsproxy/controllers/objects"
)

// Those who talk to each other.
var (
	operator   = party{namespace: namespace, labels: component("operator")}
	apiserver  = party{namespace: namespace, labels: component("apiserver")}
	dataplane  = party{namespace: "shop", labels: ofproxies.Labels("chat")}
	elsewhere  = party{namespace: "other", labels: ofproxies.Labels("chat")}
	backend    = party{namespace: "shop", labels: map[string]string{"app": "chat"}}
	neighbour  = party{namespace: namespace, labels: map[string]string{"app": "something"}}
	prometheus = party{namespace: "monitoring", labels: map[string]string{"app.kubernetes.io/name": "prometheus"}}
	collector  = party{namespace: "observability", labels: map[string]string{"app": "collector"}}
	dns        = party{namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-dns"}}
	// Neither is a pod that a policy could select.
	kubeAPIServer = party{address: "10.0.0.10"}
	internet      = party{address: "203.0.113.7"}
)

func component(name string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": "wsproxy", "app.kubernetes.io/component": name}
}

func tcp(from, to party, port int32) flow { return flow{from, to, corev1.ProtocolTCP, port} }
func udp(from, to party, port int32) flow { return flow{from, to, corev1.ProtocolUDP, port} }

// What wsproxy does, which is what ARCHITECTURE.md says, must come through. What it does
// not do must not, where a policy can tell.
func TestNetworkPoliciesAllowWhatIsNeededAndNothingElse(t *testing.T) {
	// In every mode.
	needed := map[string]flow{
		"the operator brings settings":                      tcp(operator, dataplane, dataplanev1alpha1.PortControl),
		"the apiserver asks for connections":                tcp(apiserver, dataplane, dataplanev1alpha1.PortControl),
		"the operator watches the cluster":                  tcp(operator, kubeAPIServer, 443),
		"the apiserver asks who somebody is":                tcp(apiserver, kubeAPIServer, 443),
		"the operator resolves names":                       udp(operator, dns, 53),
		"the apiserver resolves long names":                 tcp(apiserver, dns, 53),
		"the kube-apiserver passes requests on":             tcp(kubeAPIServer, apiserver, 8443),
		"a backend calls the API directly":                  tcp(backend, apiserver, 8443),
		"Prometheus scrapes the operator":                   tcp(prometheus, operator, 8080),
		"Prometheus scrapes the apiserver":                  tcp(prometheus, apiserver, 8080),
		"backends have nothing to do with these policies":   tcp(backend, internet, 443),
		"data planes reach their upstreams, wherever those": tcp(dataplane, internet, 443),
		"neighbours in the namespace are left alone":        tcp(neighbour, internet, 25),
	}
	refused := map[string]flow{
		"the operator serves nothing but metrics":        tcp(backend, operator, 9443),
		"its probes are for its node":                    tcp(backend, operator, 8081),
		"the apiserver serves nothing else":              tcp(backend, apiserver, 8081),
		"the operator has no business with backends":     tcp(operator, backend, 8081),
		"nor with the traffic of data planes":            tcp(operator, dataplane, dataplanev1alpha1.PortTraffic),
		"nor with their metrics":                         tcp(apiserver, dataplane, dataplanev1alpha1.PortMetrics),
		"nor with each other":                            tcp(operator, apiserver, 8081),
		"the apiserver does not go out":                  tcp(apiserver, internet, 80),
		"what is not DNS is not let out as such":         udp(operator, internet, 123),
		"a pod of the same name is no data plane to ask": tcp(apiserver, neighbour, dataplanev1alpha1.PortControl),
	}
	for name, mode := range map[string]struct {
		values          string
		needed, refused map[string]flow
	}{
		"as it comes": {"default", map[string]flow{
			"another usual port of the kube-apiserver": tcp(operator, kubeAPIServer, 6443),
			"proxies are everywhere":                   tcp(operator, elsewhere, dataplanev1alpha1.PortControl),
			"anybody may scrape":                       tcp(backend, apiserver, 8080),
		}, map[string]flow{
			"there is no collector": tcp(operator, collector, 4317),
		}},
		"some namespaces": {"namespaced", nil, map[string]flow{
			"another's data plane": tcp(operator, elsewhere, dataplanev1alpha1.PortControl),
		}},
		"Prometheus is named": {"monitoring", nil, map[string]flow{
			"others do not scrape":               tcp(backend, operator, 8080),
			"others do not scrape the apiserver": tcp(backend, apiserver, 8080),
		}},
		"the kube-apiserver is named, and a collector": {"networks", map[string]flow{
			"the operator sends traces":  tcp(operator, collector, 4317),
			"the apiserver sends traces": tcp(apiserver, collector, 4317),
			"its other port":             tcp(operator, kubeAPIServer, 16443),
			"a rule more":                tcp(operator, party{address: "192.0.2.9"}, 8200),
		}, map[string]flow{
			"443 elsewhere":                   tcp(operator, internet, 443),
			"a port that it has not":          tcp(operator, kubeAPIServer, 6443),
			"another pod of that namespace":   tcp(party{namespace: "monitoring", labels: map[string]string{"app": "grafana"}}, operator, 8080),
			"that rule is for that network":   tcp(operator, internet, 8200),
			"that name in another namespace":  tcp(party{namespace: "shop", labels: prometheus.labels}, operator, 8080),
			"the collector's neighbour ports": tcp(apiserver, collector, 4318),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			all := policiesOf(t, parse(t, template(t, "--values", chartDir+"/ci/"+mode.values+"-values.yaml")))
			if len(all) != 2 {
				t.Fatalf("%d policies", len(all))
			}
			judge(t, all, true, needed, mode.needed)
			judge(t, all, false, refused, mode.refused)
		})
	}
}

// The operator keeps a policy for the pods of each proxy; this is the one of its golden
// file.
func TestTheNetworkPolicyOfAProxyKeepsTheControlPort(t *testing.T) {
	raw, err := os.ReadFile("../../controllers/objects/testdata/minimal.networkpolicy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := policiesOf(t, parse(t, string(raw)))
	if len(all) != 1 {
		t.Fatalf("%d policies", len(all))
	}
	pod := party{namespace: all[0].Namespace, labels: all[0].Spec.PodSelector.MatchLabels}
	judge(t, all, true, map[string]flow{
		"the operator brings settings":       tcp(operator, pod, dataplanev1alpha1.PortControl),
		"the apiserver asks for connections": tcp(apiserver, pod, dataplanev1alpha1.PortControl),
		"clients come from the internet":     tcp(internet, pod, dataplanev1alpha1.PortTraffic),
		"and from the cluster":               tcp(backend, pod, dataplanev1alpha1.PortTraffic),
		"Prometheus scrapes":                 tcp(prometheus, pod, dataplanev1alpha1.PortMetrics),
		"upstreams are anywhere":             tcp(pod, internet, 443),
		"other pods are left alone":          tcp(internet, party{namespace: pod.namespace, labels: backend.labels}, 8081),
	})
	judge(t, all, false, map[string]flow{
		"a backend has no business there":        tcp(backend, pod, dataplanev1alpha1.PortControl),
		"nor a pod of the operator's name":       tcp(party{namespace: "other", labels: operator.labels}, pod, dataplanev1alpha1.PortControl),
		"nor another one in the release's":       tcp(neighbour, pod, dataplanev1alpha1.PortControl),
		"nor another data plane":                 tcp(dataplane, pod, dataplanev1alpha1.PortControl),
		"nor an address":                         tcp(internet, pod, dataplanev1alpha1.PortControl),
		"there is nothing behind any other port": tcp(backend, pod, 22),
		"and nothing but TCP":                    udp(backend, pod, dataplanev1alpha1.PortTraffic),
	})
}

func judge(t *testing.T, all policies, want bool, lists ...map[string]flow) {
	t.Helper()
	for _, list := range lists {
		for what, f := range list {
			if got, err := all.allows(f); err != nil || got != want {
				t.Errorf("%s: %s to port %d is let through: %v, want %v (%v)", what, f.protocol, f.port, got, want, err)
			}
		}
	}
}

// The judge of these tests is held to the examples of the documentation of Kubernetes.
func TestPoliciesAreJudgedAsKubernetesSays(t *testing.T) {
	web := party{namespace: "a", labels: map[string]string{"role": "web"}}
	db := party{namespace: "a", labels: map[string]string{"role": "db"}}
	other := party{namespace: "b", labels: map[string]string{"role": "web"}}
	all := policies{{}}
	all[0].Namespace = "a"
	all[0].Spec.PodSelector.MatchLabels = db.labels
	all[0].Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	check := func(what string, want bool, f flow) {
		t.Helper()
		judge(t, all, want, map[string]flow{what: f})
	}
	check("selected without a rule", false, tcp(web, db, 5432))
	check("only for one direction", true, tcp(db, web, 80))
	check("not selected", true, tcp(other, web, 80))

	rule := networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{{}}}
	rule.From[0].PodSelector = all[0].Spec.PodSelector.DeepCopy()
	rule.From[0].PodSelector.MatchLabels = maps.Clone(web.labels)
	rule.Ports = []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromInt32(5432)), EndPort: new(int32(5433))}}
	all[0].Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{rule}
	check("of the same namespace", true, tcp(web, db, 5433))
	check("of another one", false, tcp(other, db, 5432))
	check("another port", false, tcp(web, db, 5434))
	check("another protocol", false, udp(web, db, 5432))

	block := networkingv1.IPBlock{CIDR: "172.17.0.0/16", Except: []string{"172.17.1.0/24"}}
	all[0].Spec.Ingress[0].From = []networkingv1.NetworkPolicyPeer{{IPBlock: &block}}
	check("in the block", true, tcp(party{address: "172.17.2.1"}, db, 5432))
	check("among its exceptions", false, tcp(party{address: "172.17.1.1"}, db, 5432))
	check("no pod by its block", false, tcp(web, db, 5432))

	all[0].Spec.Ingress = append(all[0].Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
	check("a rule that says nothing lets everybody in", true, tcp(other, db, 1))
}
