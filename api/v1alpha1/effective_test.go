// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsproxy/wsproxy/api/v1alpha1"
)

// builtIn is what the comments of the fields promise.
var builtIn = v1alpha1.EffectiveSettings{
	ConnectionLostTimeout:   v1alpha1.EffectiveInteger{Value: 60, Unit: "seconds", Source: "BuiltIn"},
	ReuseAddr:               v1alpha1.EffectiveBoolean{Value: true, Unit: "boolean", Source: "BuiltIn"},
	ConnectTimeout:          v1alpha1.EffectiveInteger{Value: 30, Unit: "seconds", Source: "BuiltIn"},
	MaxRetries:              v1alpha1.EffectiveInteger{Value: 3, Unit: "attempts", Source: "BuiltIn"},
	RetryDelay:              v1alpha1.EffectiveInteger{Value: 1000, Unit: "milliseconds", Source: "BuiltIn"},
	AutoReconnect:           v1alpha1.EffectiveBoolean{Value: false, Unit: "boolean", Source: "BuiltIn"},
	AutoReconnectMaxRetries: v1alpha1.EffectiveInteger{Value: 5, Unit: "attempts", Source: "BuiltIn"},
	AutoReconnectRetryDelay: v1alpha1.EffectiveInteger{Value: 2000, Unit: "milliseconds", Source: "BuiltIn"},
}

func TestWhatNobodySetsIsBuiltIn(t *testing.T) {
	class := &v1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
	for name, class := range map[string]*v1alpha1.WebSocketProxyClass{"no class": nil, "an empty class": class} {
		if got := (v1alpha1.Settings{}).Effective(class); got != builtIn {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Each field by itself, against every state of both sides, with all the other
// fields in a random state: no field must be inherited by another's leave.
func TestASettingIsTheProxysThenTheClasssThenBuiltIn(t *testing.T) {
	settings, effective := reflect.TypeFor[v1alpha1.Settings](), reflect.TypeFor[v1alpha1.EffectiveSettings]()
	if settings.NumField() != 8 || effective.NumField() != 8 {
		t.Fatalf("%d settings, %d effective ones, want eight", settings.NumField(), effective.NumField())
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		class := &v1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
		var own v1alpha1.Settings
		fill(random, reflect.ValueOf(&own).Elem())
		fill(random, reflect.ValueOf(&class.Spec.Settings).Elem())
		got := own.Effective(class)
		check(t, own, class.Spec.Settings, got)

		// A field that is removed is inherited again, whatever it was.
		for i := range settings.NumField() {
			removed := own
			reflect.ValueOf(&removed).Elem().Field(i).SetZero()
			check(t, removed, class.Spec.Settings, removed.Effective(class))
		}
		if own.Effective(class) != got {
			t.Fatal("Effective changed what it was given")
		}
	}
}

// fill sets about half of the fields of a struct of pointers.
func fill(random *rand.Rand, structure reflect.Value) {
	for _, field := range structure.Fields() {
		if random.IntN(2) == 0 {
			continue
		}
		value := reflect.New(field.Type().Elem())
		switch value.Elem().Kind() {
		case reflect.Bool:
			value.Elem().SetBool(random.IntN(2) == 0)
		default:
			value.Elem().SetInt(int64(random.IntN(5)))
		}
		field.Set(value)
	}
}

func check(t *testing.T, own, class v1alpha1.Settings, got v1alpha1.EffectiveSettings) {
	t.Helper()
	for i := range reflect.TypeFor[v1alpha1.Settings]().NumField() {
		name := reflect.TypeFor[v1alpha1.Settings]().Field(i).Name
		effective := reflect.ValueOf(got).FieldByName(name)
		if !effective.IsValid() {
			t.Fatalf("%s has no effective value", name)
		}
		want, source := reflect.ValueOf(builtIn).FieldByName(name).FieldByName("Value"), "BuiltIn"
		if set := reflect.ValueOf(class).Field(i); !set.IsNil() {
			want, source = set.Elem(), "Class/gold"
		}
		if set := reflect.ValueOf(own).Field(i); !set.IsNil() {
			want, source = set.Elem(), "Proxy"
		}
		if !effective.FieldByName("Value").Equal(want) || effective.FieldByName("Source").String() != source {
			t.Errorf("%s is %v, want %v from %s", name, effective, want, source)
		}
		if unit := effective.FieldByName("Unit"); unit.String() != reflect.ValueOf(builtIn).FieldByName(name).FieldByName("Unit").String() {
			t.Errorf("the unit of %s is %v", name, unit)
		}
	}
}

func TestLimitsAreInheritedFieldByField(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		spec, class := &v1alpha1.WebSocketProxySpec{}, &v1alpha1.WebSocketProxyClass{}
		fill(random, reflect.ValueOf(&spec.Limits).Elem())
		fill(random, reflect.ValueOf(&class.Spec.Limits).Elem())
		inherited, alone := reflect.ValueOf(spec.EffectiveLimits(class)), reflect.ValueOf(spec.EffectiveLimits(nil))
		for name := range reflect.TypeFor[v1alpha1.Limits]().Fields() {
			own := reflect.ValueOf(spec.Limits).FieldByIndex(name.Index)
			want := own
			if own.IsNil() {
				want = reflect.ValueOf(class.Spec.Limits).FieldByIndex(name.Index)
			}
			if got := inherited.FieldByIndex(name.Index); got.Interface() != want.Interface() {
				t.Errorf("%s is %v, want %v", name.Name, got, want)
			}
			if got := alone.FieldByIndex(name.Index); got.Interface() != own.Interface() {
				t.Errorf("without a class %s is %v, want %v", name.Name, got, own)
			}
		}
	}
}

// The status must say the limits that the pods are given, and whose they are.
func TestLimitsInForceAreListedWithTheirSources(t *testing.T) {
	units := map[string]string{
		"MaxConnections": "connections", "MaxConnectionsPerClient": "connections", "MaxMessageBytes": "bytes",
		"MessagesPerSecond": "messages per second", "MaxConnectionAgeSeconds": "seconds",
	}
	if got := (v1alpha1.Limits{}).Effective(&v1alpha1.WebSocketProxyClass{}); got != nil {
		t.Errorf("nothing is limited, by %+v", got)
	}
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		spec, class := &v1alpha1.WebSocketProxySpec{}, &v1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
		fill(random, reflect.ValueOf(&spec.Limits).Elem())
		fill(random, reflect.ValueOf(&class.Spec.Limits).Elem())
		got := spec.Limits.Effective(class)
		if got == nil {
			got = &v1alpha1.EffectiveLimits{}
		}
		for field, value := range reflect.ValueOf(spec.EffectiveLimits(class)).Fields() {
			listed, _ := reflect.ValueOf(got).Elem().FieldByName(field.Name).Interface().(*v1alpha1.EffectiveLimit)
			if value.IsNil() {
				if listed != nil {
					t.Errorf("%s is %+v, and nobody limits it", field.Name, listed)
				}
				continue
			}
			want := v1alpha1.EffectiveLimit{Value: value.Elem().Int(), Unit: units[field.Name], Source: "Proxy"}
			if reflect.ValueOf(spec.Limits).FieldByName(field.Name).IsNil() {
				want.Source = "Class/gold"
			}
			if listed == nil || *listed != want {
				t.Errorf("%s is %+v, want %+v", field.Name, listed, want)
			}
		}
	}
}

func TestTheDrainWindowHasASource(t *testing.T) {
	class, drain := &v1alpha1.WebSocketProxyClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}, v1alpha1.Drain{}
	expect := func(class *v1alpha1.WebSocketProxyClass, value int32, source v1alpha1.SettingSource) {
		t.Helper()
		want := v1alpha1.EffectiveInteger{Value: value, Unit: "seconds", Source: source}
		if got := drain.Effective(class).TimeoutSeconds; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	expect(nil, 30, "BuiltIn")
	expect(class, 30, "BuiltIn")
	class.Spec.Drain.TimeoutSeconds = new(int32(0))
	expect(class, 0, "Class/gold")
	drain.TimeoutSeconds = new(int32(7))
	expect(class, 7, "Proxy")
}

func TestDrainPortAndReplicas(t *testing.T) {
	class := &v1alpha1.WebSocketProxyClass{}
	spec := &v1alpha1.WebSocketProxySpec{}
	expect := func(what string, got, want int32) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %d, want %d", what, got, want)
		}
	}
	expect("drain that nobody sets", spec.EffectiveDrainSeconds(nil), 30)
	expect("drain that an empty class leaves", spec.EffectiveDrainSeconds(class), 30)
	class.Spec.Drain.TimeoutSeconds = new(int32(0))
	expect("drain of the class", spec.EffectiveDrainSeconds(class), 0)
	spec.Drain.TimeoutSeconds = new(int32(7))
	expect("drain of the proxy", spec.EffectiveDrainSeconds(class), 7)

	expect("port", spec.EffectivePort(), 80)
	spec.Listen.TLS = &v1alpha1.ListenTLS{SecretName: "chat-tls"}
	expect("port with TLS", spec.EffectivePort(), 443)
	spec.Listen.Port = new(int32(8443))
	expect("port that is set", spec.EffectivePort(), 8443)

	expect("replicas", spec.EffectiveReplicas(), 2)
	spec.Replicas = new(int32(0))
	expect("replicas that are set", spec.EffectiveReplicas(), 0)
}

func TestPodTemplatesAreMerged(t *testing.T) {
	class := &v1alpha1.WebSocketProxyClass{}
	class.Spec.PodTemplate = v1alpha1.PodTemplate{
		Labels:                    map[string]string{"team": "platform", "tier": "edge"},
		Annotations:               map[string]string{"a": "class"},
		NodeSelector:              map[string]string{"pool": "proxies"},
		Resources:                 corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}},
		Tolerations:               []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Affinity:                  &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone"}},
	}
	before := class.DeepCopy()

	inherited := (&v1alpha1.WebSocketProxySpec{}).EffectivePodTemplate(class)
	if !reflect.DeepEqual(inherited, class.Spec.PodTemplate) {
		t.Errorf("inherited %+v", inherited)
	}
	inherited.Labels["team"], inherited.Tolerations[0].Key = "changed", "changed"
	if !reflect.DeepEqual(class, before) {
		t.Error("what was inherited is shared with the class")
	}

	own := &v1alpha1.WebSocketProxySpec{PodTemplate: v1alpha1.PodTemplate{
		Labels:                    map[string]string{"team": "chat", "app": "chat"},
		Annotations:               map[string]string{"b": "proxy"},
		NodeSelector:              map[string]string{"arch": "arm64"},
		Resources:                 corev1.ResourceRequirements{Limits: corev1.ResourceList{"memory": resource.MustParse("1Gi")}},
		Tolerations:               []corev1.Toleration{{Key: "own", Operator: corev1.TolerationOpExists}},
		Affinity:                  &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{MaxSkew: 2, TopologyKey: "host"}},
	}}
	want := *own.PodTemplate.DeepCopy()
	want.Labels = map[string]string{"team": "chat", "tier": "edge", "app": "chat"}
	want.Annotations = map[string]string{"a": "class", "b": "proxy"}
	want.NodeSelector = map[string]string{"pool": "proxies", "arch": "arm64"}
	if got := own.EffectivePodTemplate(class); !reflect.DeepEqual(got, want) {
		t.Errorf("merged %+v\nwant %+v", got, want)
	}
	// No template has a field that the merge does not know: each of the class's is
	// set above.
	for field, value := range reflect.ValueOf(class.Spec.PodTemplate).Fields() {
		if value.IsZero() {
			t.Errorf("the test does not set %s", field.Name)
		}
	}
}

func TestACopiedPodTemplateSharesNothing(t *testing.T) {
	template := v1alpha1.PodTemplate{
		Labels:                    map[string]string{"a": "b"},
		Annotations:               map[string]string{"a": "b"},
		NodeSelector:              map[string]string{"a": "b"},
		Resources:                 corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}},
		Tolerations:               []corev1.Toleration{{TolerationSeconds: new(int64(1))}},
		Affinity:                  &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{MinDomains: new(int32(1))}},
	}
	for field, value := range reflect.ValueOf(template).Fields() {
		if value.IsZero() {
			t.Errorf("the test does not set %s", field.Name)
		}
	}
	copied, again := template.DeepCopy(), template.DeepCopy()
	if !reflect.DeepEqual(*copied, template) {
		t.Fatalf("copied %+v", copied)
	}
	copied.Labels["a"], copied.Annotations["a"], copied.NodeSelector["a"] = "c", "c", "c"
	copied.Resources.Requests["cpu"] = resource.MustParse("2")
	*copied.Tolerations[0].TolerationSeconds = 2
	copied.Affinity.NodeAffinity = nil
	*copied.TopologySpreadConstraints[0].MinDomains = 2
	if !reflect.DeepEqual(*again, template) {
		t.Errorf("changing a copy changed %+v", template)
	}
	if (*v1alpha1.PodTemplate)(nil).DeepCopy() != nil {
		t.Error("a copy of nothing is something")
	}
}
