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
	"k8s.io/apimachinery/pkg/types"
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
	withPods(t, minimal(ns, "probe"), 1)
	class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}
	if err := server.client.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, class) })
	inherited(t, class, 1, 1)
	deadline := time.Now().Add(time.Minute)
	for _, tt := range [][]string{
		{"patch", "wsp", "probe", "-n", ns, "--type=merge", "--dry-run=server", "-p", `{"spec":{"className":"other"}}`},
		{"patch", "wspc", "probe", "--type=merge", "--dry-run=server", "-p", `{"spec":{"image":"a/b:c"}}`},
		{"delete", "wspc", "probe", "--dry-run=server"},
	} {
		for len(warned(t, "", tt...)) == 0 {
			if time.Now().After(deadline) {
				t.Fatal("no policy warns")
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// withPods makes a proxy with so many pods, as the operator would say.
func withPods(t *testing.T, proxy *wsproxyv1alpha1.WebSocketProxy, pods int32) {
	t.Helper()
	if err := server.client.Create(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}
	has(t, proxy, pods)
}

func has(t *testing.T, proxy *wsproxyv1alpha1.WebSocketProxy, pods int32) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"status":{"replicas":%d}}`, pods)
	if err := server.client.Status().Patch(t.Context(), proxy, client.RawPatch(types.MergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
}

// inherited says of a class who inherits from it, as the operator would.
func inherited(t *testing.T, class *wsproxyv1alpha1.WebSocketProxyClass, proxies, pods int32) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"status":{"proxies":%d,"pods":%d}}`, proxies, pods)
	if err := server.client.Status().Patch(t.Context(), class, client.RawPatch(types.MergePatchType, patch)); err != nil {
		t.Fatal(err)
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
	withPods(t, proxy, 2)
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
		// All pods go.
		{`{"spec":{"replicas":0,"podTemplate":{"labels":{"team":"c"}}}}`, ""},
		{`{"spec":{"podTemplate":{"labels":{"team":"d"}}}}`, ""},
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

// A proxy whose class was never there, or that has just been made, has no pods.
func TestAChangeOfAProxyWithoutPodsIsNotWarnedOf(t *testing.T) {
	policies(t)
	ns := namespace(t)
	proxy := minimal(ns, "chat")
	proxy.Spec.ClassName = "unknown"
	if err := server.client.Create(t.Context(), proxy); err != nil {
		t.Fatal(err)
	}
	silent := func(patch string) {
		t.Helper()
		if got := warned(t, "", "patch", "wsp", "chat", "-n", ns, "--type=merge", "-p", patch); got != nil {
			t.Errorf("%s is answered with %q", patch, got)
		}
	}
	silent(`{"spec":{"className":"gold","podTemplate":{"labels":{"team":"a"}}}}`)
	// It had some, and was scaled to zero.
	has(t, proxy, 0)
	silent(`{"spec":{"className":"tin","podTemplate":{"labels":{"team":"b"}}}}`)
	has(t, proxy, 1)
	if got := warned(t, "", "patch", "wsp", "chat", "-n", ns, "--type=merge", "-p", `{"spec":{"className":"gold"}}`); len(got) != 1 {
		t.Errorf("with a pod it is answered with %q", got)
	}
}

func TestAClassThatIsDeletedUnderItsProxiesIsWarnedOf(t *testing.T) {
	policies(t)
	const tail = " from it: those that name it go on with what they have, but take no change of their own any more (ClassNotFound), " +
		"until they name another class or there is one of this name again; those that name no class are given what is built in"
	for proxies, want := range map[int32][]string{
		-1: nil, // Nobody has counted.
		0:  nil,
		1:  {`class "doomed" is deleted while a proxy inherits` + tail},
		12: {`class "doomed" is deleted while 12 proxies inherit` + tail},
	} {
		class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "doomed"}}
		if err := server.client.Create(t.Context(), class); err != nil {
			t.Fatal(err)
		}
		if proxies >= 0 {
			inherited(t, class, proxies, 0)
		}
		if got := warned(t, "", "delete", "wspc", "doomed"); !slices.Equal(got, want) {
			t.Errorf("the deletion of a class with %d proxies is answered with %q, want %q", proxies, got, want)
		}
	}
}

// As with StorageClasses and IngressClasses, only "true" marks the default.
func TestAMarkThatMarksNothingIsWarnedOf(t *testing.T) {
	policies(t)
	class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "marked"}}
	if err := server.client.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, class) })
	for _, mark := range []string{"true", "yes", "false", "True", "", "1"} {
		var want []string
		if mark == "yes" || mark == "True" || mark == "1" {
			want = []string{fmt.Sprintf("annotation wsproxy.io/is-default-class is %q: only \"true\" makes this class the default, so it is not", mark)}
		}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"wsproxy.io/is-default-class":%q}}}`, mark)
		if got := warned(t, "", "patch", "wspc", "marked", "--type=merge", "-p", patch); !slices.Equal(got, want) {
			t.Errorf("%q is answered with %q, want %q", mark, got, want)
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
	class := &wsproxyv1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "warned"}}
	// It may have proxies, and these no pods.
	inherited(t, class, 3, 0)
	for _, patch := range []string{`{"spec":{"image":"a/b:0"}}`, `{"spec":{"podTemplate":{"labels":{"team":"a"}}}}`, `{"spec":{"image":"a/b:1","podTemplate":null}}`} {
		if got := warned(t, "", "patch", "wspc", "warned", "--type=merge", "-p", patch); got != nil {
			t.Errorf("without a pod %s is answered with %q", patch, got)
		}
	}
	inherited(t, class, 3, 7)
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
	got := warned(t, "", "delete", "wspc", "warned")
	if !slices.Contains(got, `class "warned" is no longer`+all) {
		t.Errorf("the deletion is answered with %q", got)
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
