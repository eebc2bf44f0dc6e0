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
		Dataplane: wsproxyv1alpha1.DataplaneStatus{Draining: 3},
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
		{[]string{"-o", "wide"}, `NAME READY PROGRAMMED PODS DRAINING CONNECTIONS CLASS ADDRESS REASON MESSAGE AGE`,
			fmt.Sprintf(`chat False True 1 3 1234 gold ws://chat-wsproxy\.%s\.svc Progressing 1 of 2 pods is ready \d+s`, ns)},
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

func TestClassesShowWhichOneIsTheDefaultAndWhoInheritsFromThem(t *testing.T) {
	for _, tt := range []struct {
		name, mark string
		status     wsproxyv1alpha1.WebSocketProxyClassStatus
		row        string
	}{
		{"columns-default", "true", wsproxyv1alpha1.WebSocketProxyClassStatus{Default: true, Proxies: new(int32(12)), Pods: new(int32(34))}, `true +12 +34`},
		{"columns-other", "yes", wsproxyv1alpha1.WebSocketProxyClassStatus{Proxies: new(int32(0)), Pods: new(int32(0))}, `0 +0`},
		// Nobody has counted.
		{"columns-new", "true", wsproxyv1alpha1.WebSocketProxyClassStatus{}, ``},
	} {
		class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{
			Name: tt.name, Annotations: map[string]string{wsproxyv1alpha1.DefaultClassAnnotation: tt.mark},
		}}
		if err := server.client.Create(t.Context(), class); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { remove(t, class) })
		class.Status = tt.status
		if err := server.client.Status().Update(t.Context(), class); err != nil {
			t.Fatal(err)
		}
		output, err := kubectl(t.Context(), "get", "wspc", tt.name)
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		if !regexp.MustCompile(`^NAME +DEFAULT +PROXIES +PODS +AGE\n` + tt.name + ` +` + tt.row + ` *\d+s\n$`).MatchString(output) {
			t.Error(output)
		}
	}
}

// The names of what belongs to a proxy are made from its own, so it has to be
// shorter than Kubernetes wants. Whoever did not know reads why, and what to do.
func TestANameThatIsTooLongIsRefusedInWords(t *testing.T) {
	ns := namespace(t)
	for n, want := range map[int]string{
		40:  "created",
		41:  "metadata.name is " + strings.Repeat("a", 41) + ", must be a DNS label (RFC 1035: lower-case letters, digits and hyphens, starting with a letter, ending with a letter or digit) of at most 40 characters",
		64:  "of at most 40 characters",
		254: "must be no more than 253",
	} {
		manifest := "apiVersion: wsproxy.io/v1alpha1\nkind: WebSocketProxy\nmetadata: {name: " + strings.Repeat("a", n) + "}\nspec: {upstream: {url: ws://chat.example.com}}\n"
		output, err := kubectlWith(t, manifest, "create", "-n", ns, "-f", "-")
		t.Log(output)
		if (err == nil) != (n == 40) || !strings.Contains(output, want) {
			t.Errorf("a name of %d characters is answered with (%v)\n%s\nwant %q", n, err, output, want)
		}
	}
}

// One command, in a cluster that has our CRDs and nothing else of ours.
func TestTheSamplesApplyInOneGo(t *testing.T) {
	output, err := kubectl(t.Context(), "apply", "--server-side", "--validate=strict", "-k", "../../config/samples")
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	// A proxy before its class would be told that there is none.
	if class, proxy := strings.Index(output, "websocketproxyclass"), strings.Index(output, "websocketproxy.wsproxy.io"); class < 0 || proxy < class {
		t.Errorf("the samples are applied in the order\n%s", output)
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
