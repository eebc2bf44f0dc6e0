// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Whatever proxy and class say, what is in force is what one of them says or what is
// built in; it is within its range where theirs is; and a proxy that says all of it
// itself needs neither of them.
func FuzzWhatIsInForceIsWhatSomebodySays(f *testing.F) {
	f.Add([]byte(`{"settings":{"maxRetries":7}}`), []byte(`{"settings":{"maxRetries":5,"autoReconnect":true},"limits":{"maxConnections":3},"drain":{"timeoutSeconds":0}}`))
	f.Add([]byte(`{"settings":{"retryDelay":null},"limits":{"maxMessageBytes":1},"drain":{"timeoutSeconds":9}}`), []byte(`{"settings":null}`))
	f.Add([]byte(`{"settings":{"connectTimeout":0,"reuseAddr":false}}`), []byte(`{"settings":{"connectTimeout":-2147483648}}`))
	f.Add([]byte(`{"podTemplate":{"labels":{"a":"b"},"resources":{"limits":{"cpu":"1"}}}}`), []byte(`{"podTemplate":{"labels":{"a":"c","d":""},"nodeSelector":{"x":"y"},"tolerations":[{"operator":"Exists"}]}}`))
	f.Fuzz(func(t *testing.T, own, inherited []byte) {
		proxy, class := &v1alpha1.WebSocketProxy{}, &v1alpha1.WebSocketProxyClass{}
		if json.Unmarshal(own, &proxy.Spec) != nil || json.Unmarshal(inherited, &class.Spec) != nil {
			return
		}
		proxy.Name, class.Name = "chat", "gold"
		proxy.Spec.Upstream = v1alpha1.Upstream{URL: "ws://chat.example.com"}
		before, beforeClass := proxy.DeepCopy(), class.DeepCopy()

		check(t, proxy.Spec.Settings, class.Spec.Settings, proxy.Spec.Settings.Effective(class))

		// The same proxy, in words of its own.
		whole := proxy.DeepCopy()
		effective := reflect.ValueOf(proxy.Spec.Settings.Effective(class))
		settings := reflect.ValueOf(&whole.Spec.Settings).Elem()
		for field, value := range settings.Fields() {
			said := reflect.New(field.Type.Elem())
			said.Elem().Set(effective.FieldByName(field.Name).FieldByName("Value"))
			value.Set(said)
		}
		whole.Spec.Limits = proxy.Spec.EffectiveLimits(class)
		whole.Spec.Drain.TimeoutSeconds = new(proxy.Spec.EffectiveDrainSeconds(class))
		whole.Spec.PodTemplate = proxy.Spec.EffectivePodTemplate(class)
		for name, other := range map[string]*v1alpha1.WebSocketProxyClass{"no class": nil, "the class": class} {
			for field, value := range reflect.ValueOf(whole.Spec.Settings.Effective(other)).Fields() {
				if want := effective.FieldByName(field.Name).FieldByName("Value"); !value.FieldByName("Value").Equal(want) || value.FieldByName("Source").String() != "Proxy" {
					t.Errorf("with %s, %s is %v, want %v", name, field.Name, value, want)
				}
			}
			if got := whole.Spec.EffectiveLimits(other); !reflect.DeepEqual(got, whole.Spec.Limits) {
				t.Errorf("with %s, the limits are %+v, want %+v", name, got, whole.Spec.Limits)
			}
			if got := whole.Spec.EffectiveDrainSeconds(other); got != *whole.Spec.Drain.TimeoutSeconds {
				t.Errorf("with %s, the drain window is %d, want %d", name, got, *whole.Spec.Drain.TimeoutSeconds)
			}
		}
		if got := whole.Spec.EffectivePodTemplate(nil); !reflect.DeepEqual(got, whole.Spec.PodTemplate) {
			t.Errorf("the pod template is %+v, want %+v", got, whole.Spec.PodTemplate)
		}
		if !reflect.DeepEqual(proxy, before) || !reflect.DeepEqual(class, beforeClass) {
			t.Error("the merge changed what it was given")
		}
		// What each of two valid objects may say, they may say together; only labels
		// are counted, and Kubernetes does not mind more of them in a pod.
		if len(proxy.Validate()) > 0 || len(class.Validate()) > 0 {
			return
		}
		whole.Spec.PodTemplate = v1alpha1.PodTemplate{}
		if errs := whole.Validate(); len(errs) > 0 {
			t.Errorf("a valid proxy of a valid class has in force what is invalid: %v", errs.ToAggregate())
		}
	})
}
