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
				"networkpolicy":       NetworkPolicy(c.proxy, "wsproxy-system"),
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

// What is in the template of the pods replaces them when it changes: only what
// Kubernetes itself must change is there.
func TestOnlyImageResourcesAndPodTemplateAreInThePods(t *testing.T) {
	type spec = wsproxyv1alpha1.WebSocketProxySpec
	type classSpec = wsproxyv1alpha1.WebSocketProxyClassSpec
	every := wsproxyv1alpha1.Settings{ConnectionLostTimeout: new(int32(1)), ReuseAddr: new(false), ConnectTimeout: new(int32(1)),
		MaxRetries: new(int32(1)), RetryDelay: new(int32(1)), AutoReconnect: new(true), AutoReconnectMaxRetries: new(int32(1)), AutoReconnectRetryDelay: new(int32(1))}
	limits := wsproxyv1alpha1.Limits{MaxConnections: new(int32(1)), MaxConnectionsPerClient: new(int32(1)), MaxMessageBytes: new(int64(1)),
		MessagesPerSecond: new(int32(1)), MaxConnectionAgeSeconds: new(int32(1))}
	for name, change := range map[string]struct {
		proxy func(*spec)
		class func(*classSpec)
		rolls bool
	}{
		"settings":            {proxy: func(s *spec) { s.Settings = every }},
		"settings of a class": {class: func(s *classSpec) { s.Settings = every }},
		"limits":              {proxy: func(s *spec) { s.Limits = limits }},
		"limits of a class":   {class: func(s *classSpec) { s.Limits = limits }},
		"drain":               {proxy: func(s *spec) { s.Drain.TimeoutSeconds = new(int32(3600)) }},
		"drain of a class":    {class: func(s *classSpec) { s.Drain.TimeoutSeconds = new(int32(3600)) }},
		"reconnect":           {proxy: func(s *spec) { s.Reconnect.BufferBytes, s.Reconnect.ReplayMessages = new(int32(1)), new(int32(1)) }},
		"port":                {proxy: func(s *spec) { s.Listen.Port = new(int32(8443)) }},
		"certificate":         {proxy: func(s *spec) { s.Listen.TLS = &wsproxyv1alpha1.ListenTLS{SecretName: "another"} }},
		"no certificate":      {proxy: func(s *spec) { s.Listen.TLS = nil }},
		"paths, origins":      {proxy: func(s *spec) { s.Listen.Paths, s.Listen.AllowedOrigins = []string{"/x"}, []string{"https://x"} }},
		"trusted proxies":     {proxy: func(s *spec) { s.Listen.TrustedProxies = []string{"172.16.0.0/12"} }},
		"upstream":            {proxy: func(s *spec) { s.Upstream = wsproxyv1alpha1.Upstream{URL: "ws://other.example"} }},
		"service":             {proxy: func(s *spec) { s.Service.Type = "NodePort" }},
		"replicas":            {proxy: func(s *spec) { s.Replicas = new(int32(9)) }},
		"image of a class":    {class: func(s *classSpec) { s.Image = "registry.example/another:v2" }, rolls: true},
		"resources":           {proxy: func(s *spec) { s.PodTemplate.Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1")} }, rolls: true},
		"pod annotations":     {proxy: func(s *spec) { s.PodTemplate.Annotations = map[string]string{"a": "another"} }, rolls: true},
		"pod labels":          {proxy: func(s *spec) { s.PodTemplate.Labels = map[string]string{"a": "another"} }, rolls: true},
		"tolerations":         {proxy: func(s *spec) { s.PodTemplate.Tolerations = []corev1.Toleration{{Key: "another"}} }, rolls: true},
		"template of a class": {class: func(s *classSpec) { s.PodTemplate.Labels = map[string]string{"of": "the class"} }, rolls: true},
	} {
		t.Run(name, func(t *testing.T) {
			template := func(changed bool) string {
				c := cases()[1]
				class := &wsproxyv1alpha1.WebSocketProxyClass{}
				if c.class != nil {
					class = c.class
				}
				if changed && change.proxy != nil {
					change.proxy(&c.proxy.Spec)
				}
				if changed && change.class != nil {
					change.class(&class.Spec)
				}
				d, err := Deployment(c.proxy, class, "x")
				if err != nil {
					t.Fatal(err)
				}
				raw, err := yaml.Marshal(d.Spec.Template)
				if err != nil {
					t.Fatal(err)
				}
				return string(raw)
			}
			if before, after := template(false), template(true); (before != after) != change.rolls {
				t.Errorf("the template of the pods is\n%s\nwas\n%s", after, before)
			}
		})
	}
}

func TestNamesFitIntoALabel(t *testing.T) {
	longest := "a123456789012345678901234567890123456789"
	if n := len(Name(longest)); n > 63 {
		t.Errorf("a Service of %d characters", n)
	}
}
