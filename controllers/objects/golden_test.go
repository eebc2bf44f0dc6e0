// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

// example is a proxy and its class, nil where it has none.
type example struct {
	name  string
	proxy *wsproxyv1alpha1.WebSocketProxy
	class *wsproxyv1alpha1.WebSocketProxyClass
}

func cases() []example {
	proxy := func(change func(*wsproxyv1alpha1.WebSocketProxySpec)) *wsproxyv1alpha1.WebSocketProxy {
		p := &wsproxyv1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "chat", UID: "11111111-2222-3333-4444-555555555555"}}
		p.Spec.Upstream.URL = "wss://chat.example.com/ws"
		change(&p.Spec)
		return p
	}
	class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
	class.Spec.Image = "registry.example/dataplane:gold"
	class.Spec.Settings.MaxRetries = new(int32(5))
	class.Spec.PodTemplate = wsproxyv1alpha1.PodTemplate{
		Labels:       map[string]string{"team": "platform", "tier": "gold"},
		NodeSelector: map[string]string{"pool": "edge"},
		Tolerations:  []corev1.Toleration{{Key: "edge", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
			{MaxSkew: 1, TopologyKey: "topology.kubernetes.io/zone", WhenUnsatisfiable: corev1.ScheduleAnyway},
		},
	}
	return []example{
		{"minimal", proxy(func(*wsproxyv1alpha1.WebSocketProxySpec) {}), nil},
		{"full", proxy(func(s *wsproxyv1alpha1.WebSocketProxySpec) {
			s.Replicas = new(int32(5))
			s.Listen = wsproxyv1alpha1.Listen{
				TLS: &wsproxyv1alpha1.ListenTLS{SecretName: "chat-tls"}, Paths: []string{"/chat"},
				AllowedOrigins: []string{"https://shop.example"}, TrustedProxies: []string{"10.0.0.0/8"},
			}
			s.Upstream = wsproxyv1alpha1.Upstream{ServiceRef: &wsproxyv1alpha1.ServiceReference{Name: "chat", Port: 8080}, TLS: &wsproxyv1alpha1.UpstreamTLS{}}
			s.Settings.RetryDelay = new(int32(100))
			s.Service = wsproxyv1alpha1.Service{
				Type: corev1.ServiceTypeLoadBalancer, Annotations: map[string]string{"lb.example/kind": "nlb"},
				ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, LoadBalancerClass: new("example.com/lb"),
				LoadBalancerSourceRanges: []string{"192.0.2.0/24"},
			}
			s.PodTemplate = wsproxyv1alpha1.PodTemplate{
				Labels: map[string]string{"tier": "own"}, Annotations: map[string]string{"note": "x"},
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}},
				Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
					{TopologyKey: "kubernetes.io/hostname", LabelSelector: &metav1.LabelSelector{MatchLabels: Labels("chat")}},
				}}},
			}
		}), class},
	}
}

// TestObjects compares whole objects with testdata; -update writes it.
func TestObjects(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			deployment, err := Deployment(c.proxy, c.class, "registry.example/dataplane:v1")
			if err != nil {
				t.Fatal(err)
			}
			snapshot := dataplanev1alpha1.SnapshotOf(c.proxy, c.class)
			snapshot.Upstream.Endpoints = []*dataplanev1alpha1.Endpoint{{Address: "10.0.0.7:8080"}}
			config, err := ConfigMap(c.proxy, snapshot, UpstreamService(c.proxy))
			if err != nil {
				t.Fatal(err)
			}
			secret := Secret(c.proxy, map[string][]byte{dataplanev1alpha1.FileControlCA: []byte("bundle")})
			for file, object := range map[string]any{
				"serviceaccount":      ServiceAccount(c.proxy),
				"secret":              secret,
				"configmap":           config,
				"deployment":          deployment,
				"service":             Service(c.proxy),
				"poddisruptionbudget": PodDisruptionBudget(c.proxy),
			} {
				golden(t, filepath.Join("testdata", c.name+"."+file+".yaml"), object)
			}
		})
	}
}

func golden(t *testing.T, path string, object any) {
	t.Helper()
	got, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not as it was; go test -update, and look at the difference.\ngot:\n%s", path, got)
	}
}

// TestSettingsAreNotInTheDeployment is why a settings change rolls nothing.
func TestSettingsAreNotInTheDeployment(t *testing.T) {
	build := func(change func(*wsproxyv1alpha1.WebSocketProxySpec)) string {
		c := cases()[1]
		change(&c.proxy.Spec)
		d, err := Deployment(c.proxy, c.class, "x")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := yaml.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	before := build(func(*wsproxyv1alpha1.WebSocketProxySpec) {})
	after := build(func(s *wsproxyv1alpha1.WebSocketProxySpec) {
		s.Settings = wsproxyv1alpha1.Settings{ConnectionLostTimeout: new(int32(1)), ReuseAddr: new(false), ConnectTimeout: new(int32(1)),
			MaxRetries: new(int32(1)), RetryDelay: new(int32(1)), AutoReconnect: new(true), AutoReconnectMaxRetries: new(int32(1)), AutoReconnectRetryDelay: new(int32(1))}
		s.Reconnect.BufferBytes = new(int32(1))
		s.Limits.MaxConnections = new(int32(1))
		s.Drain.TimeoutSeconds = new(int32(3600))
		s.Listen = wsproxyv1alpha1.Listen{Port: new(int32(8443)), Paths: []string{"/other"}}
		s.Upstream = wsproxyv1alpha1.Upstream{URL: "ws://other.example"}
	})
	if before != after {
		t.Errorf("the Deployment changed:\n%s\nwas:\n%s", after, before)
	}
}

func TestNamesFitIntoALabel(t *testing.T) {
	longest := "a123456789012345678901234567890123456789"
	if n := len(Name(longest)); n > 63 {
		t.Errorf("a Service of %d characters", n)
	}
}
