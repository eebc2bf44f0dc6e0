// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Rules cost the API server time, for which it has a budget: one for a CRD, which it
// refuses if the rules could cost more, and one for a request, where what they do
// cost is counted. A manifest in which everything is as much and as long as it may be
// is within both.
func TestTheLargestManifestIsWithinTheBudgetOfTheRules(t *testing.T) {
	ns := namespace(t)
	fill := func(text string, length int) string { return text + strings.Repeat("a", length-len(text)) }
	list := func(n int, item func(i int) string) []string {
		items := make([]string, n)
		for i := range items {
			items[i] = item(i)
		}
		return items
	}
	networks := func(i int) string { return fmt.Sprintf("fd00:1111:2222:3333:4444:5555:6666:%04x/128", i+4096) }
	// The prefix of a key has at most 253 characters, in parts of at most 63.
	properties := func(length int) map[string]string {
		m := map[string]string{}
		for i := range 64 {
			prefix := strings.Join([]string{fill("", 63), fill("", 63), fill("", 63), fill(fmt.Sprint(i), 60)}, ".")
			m[prefix+"/"+fill("", 63)] = fill("", length)
		}
		return m
	}
	template := wsproxyv1alpha1.PodTemplate{
		Labels: properties(63), Annotations: properties(1000), NodeSelector: properties(63),
	}
	for range 64 {
		template.Tolerations = append(template.Tolerations, corev1.Toleration{Key: fill("", 63), Operator: corev1.TolerationOpEqual, Value: fill("", 63), Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(1))})
	}
	for i := range 16 {
		template.TopologySpreadConstraints = append(template.TopologySpreadConstraints, corev1.TopologySpreadConstraint{MaxSkew: 1, TopologyKey: fmt.Sprintf("zone-%d", i), WhenUnsatisfiable: corev1.ScheduleAnyway})
	}
	class := &wsproxyv1alpha1.WebSocketProxyClass{
		ObjectMeta: metav1.ObjectMeta{Name: fill("", 63)},
		Spec:       wsproxyv1alpha1.WebSocketProxyClassSpec{Image: fill("", 1024), PodTemplate: template},
	}
	proxy := minimal(ns, fill("", 40))
	proxy.Spec.Upstream = wsproxyv1alpha1.Upstream{URL: fill("wss://[fd00::1]:65535/", 2048), TLS: &wsproxyv1alpha1.UpstreamTLS{CASecretName: fill("", 253), ClientCertSecretName: fill("", 253), ServerName: fill("", 253)}}
	proxy.Spec.Listen = wsproxyv1alpha1.Listen{
		Paths:          list(64, func(i int) string { return fill(fmt.Sprintf("/%d/", i), 1024) }),
		AllowedOrigins: list(256, func(i int) string { return fill(fmt.Sprintf("https://a%d.", i), 512) }),
		TrustedProxies: list(256, networks),
	}
	proxy.Spec.Service = wsproxyv1alpha1.Service{Type: corev1.ServiceTypeLoadBalancer, Annotations: properties(1000), LoadBalancerSourceRanges: list(256, networks)}
	proxy.Spec.PodTemplate = template

	if errs := append(proxy.Validate(), class.Validate()...); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	for _, object := range []client.Object{proxy, class} {
		if err := server.client.Create(t.Context(), object, client.DryRunAll); err != nil {
			t.Errorf("%.500s", err)
		}
	}
}
