// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// warned runs kubectl, which must do what it is told, and returns the warnings of
// our policies.
func warned(t *testing.T, manifest string, arguments ...string) []string {
	t.Helper()
	output, err := kubectlWith(t, manifest, arguments...)
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s", arguments, err, output)
	}
	var warnings []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "Warning: ") {
			_, message, _ := strings.Cut(strings.TrimSpace(line), "' with binding '")
			warnings = append(warnings, message[strings.Index(message, ": ")+2:])
		}
	}
	return warnings
}

// policies waits until the API server has taken up the policies, which it does a
// moment after they are there.
func policies(t *testing.T) {
	t.Helper()
	ns := namespace(t)
	if err := server.client.Create(t.Context(), minimal(ns, "probe")); err != nil {
		t.Fatal(err)
	}
	class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}
	if err := server.client.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, class) })
	deadline := time.Now().Add(time.Minute)
	for _, tt := range [][]string{
		{"patch", "wsp", "probe", "-n", ns, "--type=merge", "--dry-run=server", "-p", `{"spec":{"className":"other"}}`},
		{"patch", "wspc", "probe", "--type=merge", "--dry-run=server", "-p", `{"spec":{"image":"a/b:c"}}`},
	} {
		for len(warned(t, "", tt...)) == 0 {
			if time.Now().After(deadline) {
				t.Fatal("no policy warns")
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// A change that replaces pods is let through, with a word about it; any other one
// without.
func TestAChangeOfAProxyThatReplacesPodsIsWarnedOf(t *testing.T) {
	policies(t)
	ns := namespace(t)
	const replaced = "the pods of this proxy are replaced one after the other, and each of them ends its connections with close code 1012 over the drain window"
	proxy := minimal(ns, "chat")
	proxy.Spec.PodTemplate.Labels = map[string]string{"team": "a"}
	if err := server.client.Create(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ patch, warning string }{
		{`{"spec":{"podTemplate":{"resources":{"limits":{"memory":"1Gi"}}}}}`, "spec.podTemplate (resources) changes: " + replaced},
		{`{"spec":{"podTemplate":{"resources":{"limits":{"memory":"1Gi"}}}}}`, ""},
		{`{"spec":{"podTemplate":{"labels":{"team":"b"},"annotations":{"a":"b"},"nodeSelector":{"zone":"a"}}}}`, "spec.podTemplate (labels, annotations, nodeSelector) changes: " + replaced},
		{`{"spec":{"podTemplate":{"tolerations":[{"operator":"Exists"}],"affinity":{"nodeAffinity":{}}}}}`, "spec.podTemplate (tolerations, affinity) changes: " + replaced},
		{`{"spec":{"podTemplate":{"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule"}]}}}`, "spec.podTemplate (topologySpreadConstraints) changes: " + replaced},
		{`{"spec":{"podTemplate":null}}`, "spec.podTemplate (labels, annotations, resources, nodeSelector, tolerations, affinity, topologySpreadConstraints) changes: " + replaced},
		{`{"spec":{"podTemplate":{}}}`, ""},
		{`{"spec":{"className":"gold"}}`, `spec.className changes from "" to "gold": where image or podTemplate of the classes differ, ` + replaced},
		{`{"spec":{"className":"gold","settings":{"maxRetries":7,"retryDelay":5},"limits":{"maxConnections":7},"drain":{"timeoutSeconds":7}}}`, ""},
		{`{"spec":{"listen":{"port":8080,"tls":{"secretName":"chat-tls"},"paths":["/a"]},"replicas":3,"service":{"type":"NodePort"}}}`, ""},
		{`{"spec":{"upstream":{"serviceRef":null,"url":"ws://chat.example.com"},"reconnect":{"bufferBytes":7}}}`, ""},
		{`{"metadata":{"labels":{"a":"b"}}}`, ""},
		{`{"spec":{"replicas":0}}`, ""},
		// There is no pod to be replaced.
		{`{"spec":{"podTemplate":{"labels":{"team":"c"}}}}`, ""},
	} {
		var want []string
		if tt.warning != "" {
			want = []string{tt.warning}
		}
		if got := warned(t, "", "patch", "wsp", "chat", "-n", ns, "--type=merge", "-p", tt.patch); !slices.Equal(got, want) {
			t.Errorf("%s is answered with %q, want %q", tt.patch, got, want)
		}
	}
}

func TestAChangeOfAClassThatReplacesPodsIsWarnedOf(t *testing.T) {
	policies(t)
	const (
		few    = "those of a few proxies at a time, and each of them ends its connections with close code 1012 over the drain window"
		image  = `: the pods of every proxy of this class are replaced, ` + few
		pods   = ` changes: the pods of every proxy of this class that does not say otherwise are replaced, ` + few
		all    = ` the default: the pods of every proxy that names no class are replaced, ` + few
		marked = `{"metadata":{"annotations":{"wsproxy.io/is-default-class":"true"}}}`
		not    = `{"metadata":{"annotations":{"wsproxy.io/is-default-class":null}}}`
	)
	t.Cleanup(func() {
		class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "warned"}}
		if err := server.client.Delete(context.WithoutCancel(t.Context()), class); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
	const head = "apiVersion: wsproxy.io/v1alpha1\nkind: WebSocketProxyClass\nmetadata:\n  name: warned\n"
	if got := warned(t, head+"spec: {image: a/b:1}", "create", "-f", "-"); got != nil {
		t.Errorf("a class that nobody has is made with %q", got)
	}
	for _, tt := range []struct{ patch, warning string }{
		{`{"spec":{"image":"a/b:2"}}`, `spec.image changes from "a/b:1" to "a/b:2"` + image},
		{`{"spec":{"settings":{"maxRetries":7},"limits":{"maxConnections":7},"drain":{"timeoutSeconds":7}}}`, ""},
		{`{"spec":{"podTemplate":{"labels":{"team":"b"}}}}`, "spec.podTemplate (labels)" + pods},
		{`{"spec":{"allowedOverrides":{"tolerations":false}}}`, ""},
		{marked, `class "warned" becomes` + all},
		{not, `class "warned" is no longer` + all},
		{`{"spec":{"image":null}}`, `spec.image changes from "a/b:2" to ""` + image},
		{`{"spec":{"podTemplate":null}}`, "spec.podTemplate (labels)" + pods},
		// It has neither image nor podTemplate any more.
		{marked, ""},
		{`{"spec":{"image":"a/b:3"}}`, `spec.image changes from "" to "a/b:3"` + image},
	} {
		var want []string
		if tt.warning != "" {
			want = []string{tt.warning}
		}
		if got := warned(t, "", "patch", "wspc", "warned", "--type=merge", "-p", tt.patch); !slices.Equal(got, want) {
			t.Errorf("%s is answered with %q, want %q", tt.patch, got, want)
		}
	}
	if got, want := warned(t, "", "delete", "wspc", "warned"), []string{`class "warned" is no longer` + all}; !slices.Equal(got, want) {
		t.Errorf("the deletion is answered with %q, want %q", got, want)
	}
	marking := head + "  annotations: {wsproxy.io/is-default-class: \"true\"}\nspec: {image: a/b:1}"
	if got, want := warned(t, marking, "create", "-f", "-"), []string{`class "warned" becomes` + all}; !slices.Equal(got, want) {
		t.Errorf("a new default is made with %q, want %q", got, want)
	}
}

// The policies list the fields of podTemplate by name.
func TestThePoliciesKnowEveryFieldOfThePodTemplate(t *testing.T) {
	var want []string
	for field := range reflect.TypeFor[wsproxyv1alpha1.PodTemplate]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		want = append(want, fmt.Sprintf("'%s'", name))
	}
	list := regexp.MustCompile(`\['labels'.*\]`)
	for _, file := range []string{"proxy", "class"} {
		raw, err := os.ReadFile("../../config/admission/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if got := list.FindString(string(raw)); got != "["+strings.Join(want, ", ")+"]" {
			t.Errorf("%s.yaml lists %s, want %v", file, got, want)
		}
	}
}
