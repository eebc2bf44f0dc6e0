// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

func TestTheCRDsAreEstablishedAndSound(t *testing.T) {
	for name, short := range map[string]string{"websocketproxies.wsproxy.io": "wsp", "websocketproxyclasses.wsproxy.io": "wspc"} {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := server.client.Get(t.Context(), client.ObjectKey{Name: name}, crd); err != nil {
			t.Fatal(err)
		}
		state := map[apiextensionsv1.CustomResourceDefinitionConditionType]apiextensionsv1.ConditionStatus{}
		for _, c := range crd.Status.Conditions {
			state[c.Type] = c.Status
		}
		if state[apiextensionsv1.Established] != apiextensionsv1.ConditionTrue || state[apiextensionsv1.NamesAccepted] != apiextensionsv1.ConditionTrue {
			t.Errorf("%s: conditions are %v", name, crd.Status.Conditions)
		}
		if state[apiextensionsv1.NonStructuralSchema] == apiextensionsv1.ConditionTrue {
			t.Errorf("%s: the schema is not structural: %v", name, crd.Status.Conditions)
		}
		if got := crd.Status.AcceptedNames.ShortNames; len(got) != 1 || got[0] != short {
			t.Errorf("%s: short names are %v, want %s", name, got, short)
		}
	}
}

// What is in force and what may be written must be learnt without leaving the
// terminal.
func TestExplainSaysUnitRangeBuiltInAndWhenAChangeTakesEffect(t *testing.T) {
	for _, tt := range []struct {
		setting string
		says    []string
	}{
		{"connectionLostTimeout", []string{"in seconds", "Range 0 to 86400", "built in 60", "0 switches the detection off", "at once, on live connections"}},
		{"reuseAddr", []string{"<boolean>", "Built in true", "SO_REUSEADDR", "on the next socket"}},
		{"connectTimeout", []string{"in seconds", "Range 1 to 3600", "built in 30", "on the next attempt"}},
		{"maxRetries", []string{"number of further attempts", "Range 0 to 100", "built in 3", "on the next attempt"}},
		{"retryDelay", []string{"in milliseconds", "Range 0 to 600000", "built in 1000", "on the next attempt"}},
		{"autoReconnect", []string{"<boolean>", "Built in false", "at once"}},
		{"autoReconnectMaxRetries", []string{"number of attempts", "Range 0 to 1000", "built in 5", "at once"}},
		{"autoReconnectRetryDelay", []string{"in milliseconds", "Range 0 to 600000", "built in 2000", "at once"}},
	} {
		t.Run(tt.setting, func(t *testing.T) {
			for _, resource := range []string{"wsp", "wspc"} {
				output, err := kubectl(t.Context(), "explain", resource+".spec.settings."+tt.setting)
				if err != nil {
					t.Fatalf("%v\n%s", err, output)
				}
				// kubectl breaks the lines where it likes.
				text := strings.Join(strings.Fields(output), " ")
				for _, want := range tt.says {
					if !strings.Contains(text, want) {
						t.Errorf("%s: no %q in\n%s", resource, want, output)
					}
				}
			}
		})
	}
}

func TestExplainDescribesEveryFieldOfOurs(t *testing.T) {
	output, err := kubectl(t.Context(), "explain", "wsp.spec")
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if strings.Contains(output, "<no description>") {
		t.Error(output)
	}
}

func TestPrinterColumns(t *testing.T) {
	ns := namespace(t)
	proxy := minimal(ns, "chat")
	if err := server.client.Create(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}
	condition := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.Now()}
	}
	proxy.Status = wsproxyv1alpha1.WebSocketProxyStatus{
		Conditions: []metav1.Condition{
			condition(wsproxyv1alpha1.ConditionReady, metav1.ConditionFalse, wsproxyv1alpha1.ReasonProgressing, "1 of 2 pods is ready"),
			condition(wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed, ""),
		},
		ClassName: "gold", Address: "ws://chat-wsproxy." + ns + ".svc", Replicas: 2, ReadyReplicas: 1, Connections: 1234,
	}
	if err := server.client.Status().Update(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		arguments []string
		header    string
		row       string
	}{
		{nil, `NAME READY PROGRAMMED PODS CONNECTIONS ADDRESS AGE`,
			fmt.Sprintf(`chat False True 1 1234 ws://chat-wsproxy\.%s\.svc \d+s`, ns)},
		{[]string{"-o", "wide"}, `NAME READY PROGRAMMED PODS CONNECTIONS CLASS ADDRESS REASON MESSAGE AGE`,
			fmt.Sprintf(`chat False True 1 1234 gold ws://chat-wsproxy\.%s\.svc Progressing 1 of 2 pods is ready \d+s`, ns)},
	} {
		output, err := kubectl(t.Context(), append([]string{"get", "wsp", "-n", ns}, tt.arguments...)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		lines := strings.Split(strings.TrimSpace(output), "\n")
		if len(lines) != 2 || strings.Join(strings.Fields(lines[0]), " ") != tt.header ||
			!regexp.MustCompile("^"+tt.row+"$").MatchString(strings.Join(strings.Fields(lines[1]), " ")) {
			t.Errorf("kubectl get wsp %v:\n%s\nwant\n%s\n%s", tt.arguments, output, tt.header, tt.row)
		}
	}
}

func TestClassesShowWhichOneIsTheDefault(t *testing.T) {
	class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{
		Name: "columns", Annotations: map[string]string{wsproxyv1alpha1.DefaultClassAnnotation: "true"},
	}}
	if err := server.client.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, class) })
	output, err := kubectl(t.Context(), "get", "wspc", "columns")
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if !regexp.MustCompile(`^NAME +DEFAULT +AGE\ncolumns +true +\d+s\n$`).MatchString(output) {
		t.Error(output)
	}
}

// One command, in a cluster that has our CRDs and nothing else of ours.
func TestTheSamplesApplyInOneGo(t *testing.T) {
	output, err := kubectl(t.Context(), "apply", "--server-side", "--validate=strict", "-k", "../../config/samples")
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Cleanup(func() {
		// The context of a test has ended when its cleanups run.
		if output, err := kubectl(context.WithoutCancel(t.Context()), "delete", "--wait=false", "-k", "../../config/samples"); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
	})
	proxy := &wsproxyv1alpha1.WebSocketProxy{}
	if err := server.client.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "echo"}, proxy); err != nil {
		t.Fatal(err)
	}
	if ref := proxy.Spec.Upstream.ServiceRef; ref == nil || ref.Name != "echo-backend" || ref.Port != 8080 {
		t.Errorf("the sample refers to %+v", ref)
	}
}
