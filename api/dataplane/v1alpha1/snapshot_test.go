// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package dataplanev1alpha1_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/api/v1alpha1"
)

// notForPods is what a manifest says to Kubernetes or to the operator alone.
var notForPods = map[string]string{
	"className":                             "the operator resolves it",
	"replicas":                              "the Deployment's",
	"listen.port":                           "the Service's",
	"listen.tls.secretName":                 "its content is mounted under a fixed name",
	"upstream.serviceRef.port":              "the operator turns it into endpoints",
	"service.type":                          "the Service's",
	"service.annotations":                   "the Service's",
	"service.externalTrafficPolicy":         "the Service's",
	"service.loadBalancerClass":             "the Service's",
	"service.loadBalancerSourceRanges":      "the Service's",
	"podTemplate.labels":                    "the Deployment's",
	"podTemplate.annotations":               "the Deployment's",
	"podTemplate.resources":                 "the Deployment's",
	"podTemplate.nodeSelector":              "the Deployment's",
	"podTemplate.tolerations":               "the Deployment's",
	"podTemplate.affinity":                  "the Deployment's",
	"podTemplate.topologySpreadConstraints": "the Deployment's",
	"image":                                 "the Deployment's, of a class",
	"allowedOverrides.nodeSelector":         "the operator's, of a class",
	"allowedOverrides.tolerations":          "the operator's, of a class",
}

// A field that is added to the manifest must be put into the snapshot, or be
// said to be none of a pod's business.
func TestEveryFieldOfAProxyArrivesInTheSnapshot(t *testing.T) {
	proxy := everything()
	base := dataplanev1alpha1.SnapshotOf(proxy, nil)
	seen := map[string]bool{}
	leaves("", reflect.ValueOf(&proxy.Spec).Elem(), func(path string) {
		seen[path] = true
		arrived := !proto.Equal(base, dataplanev1alpha1.SnapshotOf(proxy, nil))
		if _, excused := notForPods[path]; arrived == excused {
			t.Errorf("spec.%s: in the snapshot %v, want %v", path, arrived, !excused)
		}
	})
	if len(seen) < 30 || !seen["settings.retryDelay"] || !seen["upstream.tls.caSecretName"] {
		t.Errorf("only %d fields were tried: %v", len(seen), seen)
	}
}

func TestEveryFieldOfAClassThatPodsInheritArrivesInTheSnapshot(t *testing.T) {
	proxy, class := everything(), &v1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
	base := dataplanev1alpha1.SnapshotOf(proxy, class)
	leaves("", reflect.ValueOf(&class.Spec).Elem(), func(path string) {
		arrived := !proto.Equal(base, dataplanev1alpha1.SnapshotOf(proxy, class))
		if _, excused := notForPods[path]; arrived == excused {
			t.Errorf("class spec.%s: in the snapshot %v, want %v", path, arrived, !excused)
		}
	})
}

// Numbers and switches arrive unchanged under their own name.
func TestEverySettingArrivesUnderItsOwnName(t *testing.T) {
	for _, section := range []string{"settings", "reconnect", "limits", "drain"} {
		proxy := everything()
		from := fieldByJSON(t, reflect.ValueOf(&proxy.Spec).Elem(), section)
		next := int64(10)
		want := map[string]any{}
		for field, value := range from.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			set := reflect.New(field.Type.Elem())
			switch set.Elem().Kind() {
			case reflect.Bool:
				// Both are off their built-in value, reuseAddr by false.
				set.Elem().SetBool(name != "reuseAddr")
			default:
				// Another number for each, so that two cannot be swapped.
				set.Elem().SetInt(next)
				next++
			}
			value.Set(set)
			want[name] = set.Elem().Interface()
		}
		snapshot := dataplanev1alpha1.SnapshotOf(proxy, nil).ProtoReflect()
		message := snapshot.Get(snapshot.Descriptor().Fields().ByJSONName(section)).Message()
		if got := message.Descriptor().Fields().Len(); got != len(want) {
			t.Errorf("%s has %d fields in the snapshot and %d in the manifest", section, got, len(want))
		}
		for name, value := range want {
			field := message.Descriptor().Fields().ByJSONName(name)
			if field == nil {
				t.Errorf("%s.%s has no field in the snapshot", section, name)
				continue
			}
			if got := message.Get(field).Interface(); got != value {
				t.Errorf("%s.%s is %v, want %v", section, name, got, value)
			}
		}
	}
}

func TestTheSnapshotNamesItsProxyAndItsUpstream(t *testing.T) {
	proxy := &v1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "chat"}}
	proxy.Spec.Upstream.ServiceRef = &v1alpha1.ServiceReference{Name: "backend", Port: 8080}
	got := dataplanev1alpha1.SnapshotOf(proxy, nil)
	if got.GetNamespace() != "shop" || got.GetProxy() != "chat" || !got.GetUpstream().GetService() || got.GetUpstream().GetTls() != nil {
		t.Errorf("serviceRef: %v", got)
	}
	proxy.Spec.Upstream.TLS = &v1alpha1.UpstreamTLS{}
	if got := dataplanev1alpha1.SnapshotOf(proxy, nil).GetUpstream().GetTls().GetServerName(); got != "backend.shop.svc" {
		t.Errorf("serviceRef with TLS: server name %q", got)
	}
	proxy.Spec.Upstream.TLS.ServerName = "chat.internal"
	if got := dataplanev1alpha1.SnapshotOf(proxy, nil).GetUpstream().GetTls().GetServerName(); got != "chat.internal" {
		t.Errorf("a server name of its own: %q", got)
	}
	proxy.Spec.Upstream = v1alpha1.Upstream{URL: "wss://chat.example.com/ws"}
	if got := dataplanev1alpha1.SnapshotOf(proxy, nil).GetUpstream(); got.GetService() || got.GetUrl() != "wss://chat.example.com/ws" {
		t.Errorf("url: %v", got)
	}
}

// everything is a proxy in which every part is present and every value absent,
// so that a part that appears does not pass for its values.
func everything() *v1alpha1.WebSocketProxy {
	proxy := &v1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "chat"}}
	proxy.Spec.Listen.TLS = &v1alpha1.ListenTLS{}
	proxy.Spec.Upstream = v1alpha1.Upstream{ServiceRef: &v1alpha1.ServiceReference{}, TLS: &v1alpha1.UpstreamTLS{}}
	return proxy
}

// leaves calls f with every single field of a structure set in turn to something
// that is neither absent nor built in.
func leaves(path string, structure reflect.Value, f func(path string)) {
	for field, value := range structure.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		at := strings.TrimPrefix(path+"."+name, ".")
		switch {
		case value.Kind() == reflect.Struct && value.Type() != reflect.TypeFor[corev1.ResourceRequirements]():
			leaves(at, value, f)
		case value.Kind() == reflect.Pointer && !value.IsNil():
			leaves(at, value.Elem(), f)
		default:
			before := reflect.ValueOf(value.Interface())
			value.Set(other(value.Type()))
			if value.Kind() == reflect.Pointer && value.Elem().Kind() == reflect.Bool {
				value.Elem().SetBool(name != "reuseAddr")
			}
			f(at)
			value.Set(before)
		}
	}
}

// other is a value of a type that is not its zero value. Of a pointer to a
// structure it is enough that it is there.
func other(of reflect.Type) reflect.Value {
	value := reflect.New(of).Elem()
	switch of.Kind() {
	case reflect.Pointer:
		value.Set(reflect.New(of.Elem()))
		if of.Elem().Kind() != reflect.Struct {
			value.Elem().Set(other(of.Elem()))
		}
	case reflect.String:
		value.SetString("other")
	case reflect.Int32, reflect.Int64:
		value.SetInt(77)
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Slice:
		value.Set(reflect.MakeSlice(of, 1, 1))
	case reflect.Map:
		value.Set(reflect.MakeMap(of))
		value.SetMapIndex(reflect.ValueOf("other"), reflect.ValueOf("other"))
	case reflect.Struct:
		value.Set(reflect.ValueOf(corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "other"}}}))
	default:
		panic(fmt.Sprintf("no other value of %v", of))
	}
	return value
}

func fieldByJSON(t *testing.T, structure reflect.Value, name string) reflect.Value {
	t.Helper()
	for field, value := range structure.Fields() {
		if got, _, _ := strings.Cut(field.Tag.Get("json"), ","); got == name {
			return value
		}
	}
	t.Fatalf("no field %s", name)
	return reflect.Value{}
}
