// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// A class is edited: what inherits from it changes, and nothing else is touched.
func TestAnEditedClassReachesItsProxiesAndNoOthers(t *testing.T) {
	r := newRoom(t)
	operator := startOperator(t, r.namespace)
	gold := r.class("gold", func(*wsproxyv1alpha1.WebSocketProxyClass) {})
	r.class("tin", func(c *wsproxyv1alpha1.WebSocketProxyClass) { c.Spec.Settings.RetryDelay = new(int32(5)) })
	of := func(class string) func(*wsproxyv1alpha1.WebSocketProxySpec) {
		return func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.ClassName = class }
	}
	one, two := r.serving("one", 1, of("gold"))[0], r.serving("two", 2, of("gold"))
	own := r.serving("own", 1, of("gold"), func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.Settings.MaxRetries = new(int32(1)) })[0]
	other, none := r.serving("other", 1, of("tin"))[0], r.serving("none", 1)[0]
	untouched := map[string]map[string]string{"other": r.versions("other"), "none": r.versions("none"), "own": r.versions("own")}
	skipped := operator.count("wsproxy_pushes_total", "skipped")

	r.patch(gold, `{"spec":{"settings":{"maxRetries":6}}}`)
	for _, p := range append(two, one) {
		p.retries(6)
	}
	r.maxRetries("one", 6, "Class/gold")
	r.maxRetries("two", 6, "Class/gold")
	// own was looked at too, and has nothing new for its pod.
	r.patch(gold, `{"metadata":{"labels":{"a":"b"}}}`)
	r.patch(gold, `{"spec":{"limits":{"maxConnections":7}}}`)
	for _, p := range append(two, one, own) {
		p.has(func(s *dataplanev1alpha1.Snapshot) bool { return s.GetLimits().GetMaxConnections() == 7 })
	}
	if n := own.pushes(); n != 2 {
		t.Errorf("the proxy that says maxRetries itself was pushed to %d times, want 2", n)
	}
	for _, p := range append(two, one) {
		if n := p.pushes(); n != 3 {
			t.Errorf("%s was pushed to %d times, want 3", p.object.Name, n)
		}
	}
	r.maxRetries("own", 1, wsproxyv1alpha1.SourceProxy)
	for _, p := range []*pod{other, none} {
		if n := p.pushes(); n != 1 {
			t.Errorf("%s, of another class, was pushed to %d times", p.object.Name, n)
		}
	}
	for _, name := range []string{"other", "none"} {
		if after := r.versions(name); !maps.Equal(after, untouched[name]) {
			t.Errorf("%s, of another class, was written: %v, was %v", name, after, untouched[name])
		}
	}
	t.Logf("%v pushes were skipped before the changes, %v after", skipped, operator.count("wsproxy_pushes_total", "skipped"))

	// An operator that starts finds everything as it should be, and says so.
	operator.stop()
	next := startOperator(t, r.namespace)
	r.eventually(func() error { return next.counted("wsproxy_pushes_total", "skipped", 6) })
	if n := next.count("wsproxy_pushes_total", "applied"); n != 0 {
		t.Errorf("%v pushes of what the pods had", n)
	}
}

// Each of the eight is said by the class, then by the proxy, and taken back: by null
// in a merge patch, and by an apply that leaves it out.
func TestEverySettingIsInheritedAgainWhenItIsTakenBack(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	class := r.class("gold", func(*wsproxyv1alpha1.WebSocketProxyClass) {})
	const manifest = "apiVersion: wsproxy.io/v1alpha1\nkind: WebSocketProxy\nmetadata: {name: echo}\nspec: {className: gold, upstream: {url: ws://backend.example}%s}\n"
	apply := func(settings string) {
		t.Helper()
		if output, err := r.kubectl(fmt.Sprintf(manifest, settings), "apply", "--server-side", "--field-manager=git", "-f", "-"); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	apply("")
	builtIn := (wsproxyv1alpha1.Settings{}).Effective(nil)
	for field := range reflect.TypeFor[wsproxyv1alpha1.EffectiveSettings]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		was := reflect.ValueOf(builtIn).FieldByIndex(field.Index)
		value := was.FieldByName("Value")
		classes, own := `7`, `8`
		if value.Kind() == reflect.Bool {
			classes, own = fmt.Sprint(!value.Bool()), fmt.Sprint(value.Bool())
		}
		is := func(value, source string) {
			t.Helper()
			r.eventually(func() error {
				raw, err := json.Marshal(get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Status.EffectiveSettings)
				if err != nil {
					return err
				}
				var all map[string]map[string]any
				if err := json.Unmarshal(raw, &all); err != nil {
					return err
				}
				if got := all[name]; fmt.Sprint(got["value"]) != value || got["source"] != source {
					return fmt.Errorf("%s is %v, want %s from %s", name, got, value, source)
				}
				return nil
			})
		}
		proxy := get[wsproxyv1alpha1.WebSocketProxy](r, "echo")
		is(fmt.Sprint(value), "BuiltIn")
		r.patch(class, `{"spec":{"settings":{%q:%s}}}`, name, classes)
		is(classes, "Class/gold")
		r.patch(proxy, `{"spec":{"settings":{%q:%s}}}`, name, own)
		is(own, "Proxy")
		r.patch(proxy, `{"spec":{"settings":{%q:null}}}`, name)
		is(classes, "Class/gold")
		apply(fmt.Sprintf(", settings: {%s: %s}", name, own))
		is(own, "Proxy")
		apply("")
		is(classes, "Class/gold")
		r.patch(class, `{"spec":{"settings":{%q:null}}}`, name)
		is(fmt.Sprint(value), "BuiltIn")
	}
}

// Git says everything but the number of pods, an autoscaler says that.
func TestGitAndAnAutoscalerDoNotFight(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	apply := func(retries int) {
		t.Helper()
		manifest := fmt.Sprintf("apiVersion: wsproxy.io/v1alpha1\nkind: WebSocketProxy\nmetadata: {name: echo}\nspec: {upstream: {url: ws://backend.example}, settings: {maxRetries: %d}}\n", retries)
		if output, err := r.kubectl(manifest, "apply", "--server-side", "--field-manager=git", "-f", "-"); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	replicas := func(want int32) {
		t.Helper()
		r.eventually(func() error {
			if got := *exists[appsv1.Deployment](r, "echo-wsproxy").Spec.Replicas; got != want {
				return fmt.Errorf("%d replicas, want %d", got, want)
			}
			return nil
		})
	}
	apply(1)
	replicas(wsproxyv1alpha1.DefaultReplicas)
	for i := range 3 {
		n := int32(4 + i)
		r.scale("echo", n)
		replicas(n)
		apply(2 + i)
		r.maxRetries("echo", int32(2+i), wsproxyv1alpha1.SourceProxy)
		replicas(n)
	}
	// The number of pods is none of Git's, nor of the operator's.
	for _, f := range get[wsproxyv1alpha1.WebSocketProxy](r, "echo").ManagedFields {
		raw := f.FieldsV1.GetRawString()
		if owns := strings.Contains(raw, `"f:spec"`) && strings.Contains(raw, `"f:replicas"`); owns && f.Manager != "autoscaler" {
			t.Errorf("%s owns spec.replicas: %s", f.Manager, raw)
		}
		if f.Manager == "git" && !strings.Contains(raw, `"f:maxRetries"`) {
			t.Errorf("Git does not own what it applied: %s", raw)
		}
	}
	// And the operator, which writes the status, has written no spec.
	if got := get[wsproxyv1alpha1.WebSocketProxy](r, "echo").Generation; got != 7 {
		t.Errorf("generation is %d, want 7: one that made it, three of Git, three of the autoscaler", got)
	}
}

// about returns the events about a proxy, as reason and note, without repetition.
func (r *room) about(proxy string) map[string]bool {
	r.Helper()
	var list eventsv1.EventList
	if err := r.api.List(r.Context(), &list, client.InNamespace(r.namespace)); err != nil {
		r.Fatal(err)
	}
	about := map[string]bool{}
	for _, e := range list.Items {
		if e.Regarding.Name == proxy {
			about[e.Type+" "+e.Reason+": "+e.Note] = true
		}
	}
	return about
}

func TestEventsAreWhatAPersonWantsToKnow(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	p := r.serving("echo", 1)[0]
	// A hundred changes that arrive, and connections that come, are no news.
	p.set(func() { p.connections = 42 })
	for i := range 20 {
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":%d}}}`, 10+i)
	}
	p.retries(29)
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
	if got := r.about("echo"); len(got) != 0 {
		t.Errorf("a proxy that does what it is told has the events %v", got)
	}

	happens := func(patch, event string) {
		t.Helper()
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":%s}`, patch)
		r.eventually(func() error {
			if got := r.about("echo"); !got[event] {
				return fmt.Errorf("events are %v, want %s", got, event)
			}
			return nil
		})
	}
	happens(`{"className":"tin"}`, `Warning ClassNotFound: spec.className: WebSocketProxyClass "tin" does not exist`)
	happens(`{"className":null}`, `Normal Accepted: the spec is accepted`)
	happens(`{"upstream":{"url":null,"serviceRef":{"name":"nobody","port":80}}}`, `Warning ServiceNotFound: spec.upstream.serviceRef: Service "nobody" does not exist`)
	happens(`{"upstream":{"url":"ws://backend.example","serviceRef":null}}`, `Normal Resolved: every reference is resolved`)
	happens(`{"podTemplate":{"annotations":{"a":"b"}}}`, `Normal ReplacingPods: the pods are replaced one after the other, each after a drain: their podTemplate changed`)
	p.set(func() { p.refuse = status.Error(codes.InvalidArgument, "listen.tls: listen.crt is missing") })
	happens(`{"settings":{"maxRetries":5}}`, `Warning PodsLagging: pod echo-0: listen.tls: listen.crt is missing`)

	r.create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "blocked-wsproxy"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}})
	r.proxy("blocked")
	r.eventually(func() error {
		if got := r.about("blocked"); !got[`Warning ApplyFailed: Service "blocked-wsproxy" exists and is not this proxy's; delete or rename it`] {
			return fmt.Errorf("events are %v", got)
		}
		return nil
	})
}
