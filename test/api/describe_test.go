// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// What somebody reads who never saw the documentation: what is in force and why,
// where clients connect, and what is wrong in words.
func TestDescribeTellsWhatIsInForceAndWhereItComesFrom(t *testing.T) {
	ns := namespace(t)
	proxy := minimal(ns, "chat")
	proxy.Spec.Settings.RetryDelay = new(int32(500))
	if err := server.client.Create(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}
	class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
	class.Spec.Settings.AutoReconnect = new(true)
	class.Spec.Limits.MaxMessageBytes = new(int64(1 << 40))
	class.Spec.Drain.TimeoutSeconds = new(int32(45))
	effective := proxy.Spec.Settings.Effective(class)
	proxy.Status = wsproxyv1alpha1.WebSocketProxyStatus{
		ObservedGeneration: 1, ClassName: "gold", Address: "ws://chat-wsproxy." + ns + ".svc:80", EffectiveSettings: &effective,
		EffectiveLimits: proxy.Spec.Limits.Effective(class), EffectiveDrain: new(proxy.Spec.Drain.Effective(class)),
		Replicas: 2, ReadyReplicas: 1, Connections: 1234, Selector: "wsproxy.io/proxy=chat",
		Dataplane: wsproxyv1alpha1.DataplaneStatus{Pods: 2, Programmed: 1, Draining: 3, ConfigVersion: "4711"},
		Conditions: []metav1.Condition{{
			Type: wsproxyv1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: wsproxyv1alpha1.ReasonProgressing,
			Message: "1 of 2 pods are ready", ObservedGeneration: 1, LastTransitionTime: metav1.Now(),
		}},
	}
	if err := server.client.Status().Update(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}
	output, err := kubectl(t.Context(), "describe", "wsp", "chat", "-n", ns)
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Log(output)
	text := strings.Join(strings.Fields(output), " ")
	for _, want := range []string{
		"Retry Delay: Source: Proxy Unit: milliseconds Value: 500",
		"Auto Reconnect: Source: Class/gold Unit: boolean Value: true",
		"Connection Lost Timeout: Source: BuiltIn Unit: seconds Value: 60",
		"Max Retries: Source: BuiltIn Unit: attempts Value: 3",
		"Message: 1 of 2 pods are ready",
		"Address: ws://chat-wsproxy." + ns + ".svc:80",
		"Class Name: gold",
		"Connections: 1234",
		"Dataplane: Config Version: 4711 Draining: 3 Pods: 2 Programmed: 1",
		"Effective Limits: Max Message Bytes: Source: Class/gold Unit: bytes Value: 1099511627776 Effective Settings:",
		"Effective Drain: Timeout Seconds: Source: Class/gold Unit: seconds Value: 45",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, output)
		}
	}
}
