// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/api/v1alpha1/manifesttest"
)

// texts are put into every place of a manifest that holds text. Each is good
// somewhere and bad elsewhere, or bad in its own way.
var texts = []string{
	"", "a", "A", "1", "chat", "chat.room", "-a", "a-", "a_b", "a b", " a", "a\n", "ä", "\u00a0", "%41", "%zz", "*", "null",
	"a/b", "/a", "/a/", "//a", "/a//b", "/.", "/..", "/a/./b", "/...", "/a?", "/a#", "/\x7f", "/é", "/%2e%2e",
	"10.0.0.0/8", "10.0.0.1/8", "10.0.0.1/32", "010.0.0.0/8", "10.0.0.0/08", "::/0", "fd00::1", "fd00::/8", "fd00::1/8", "::ffff:10.0.0.0/104", "fe80::1%eth0", "fe80::%eth0/10", "1.2.3.4", "1.2.3", "0/0",
	"ws://a", "wss://a", "WSS://a", "ws:", "ws:/a", "ws://", "ws:///a", "ws://a:1", "ws://a:0", "ws://a:65536", "ws://a:", "ws://a:-1", "ws://a:+1", "ws://a:00080", "ws://a:000080", "ws://:1",
	"ws://[::1]", "ws://[::1]:1/x", "ws://[::1", "ws://::1", "ws://[]", "ws://[1.2.3.4]", "ws://[::1%25a]", "ws://[::ffff:1.2.3.4]", "ws://[::1]x", "ws://[g::]", "ws://[::1]:", "ws://a[::1]",
	"ws://a@b", "ws://a:b@c", "ws://a/@b", "ws://a/b:c", "ws://a/b//c", "ws://a/?", "ws://a/#", "ws://a?b", "ws://a#%zz", "ws://a/%zz", "ws://a/ä", "ws://ä", "ws://a b", "ws://a/ b", "ws://a/[x]", "ws://a/<>\\^`{|}", "ws://a\\b", "ws://a.", "ws://.a", "ws://a..b", "ws://a_b", "ws://_a", "ws://-a", "ws://a-", "ws://a.-b", "ws://%41", "ws://1.2.3.4:5", "ws://A/B", "ws://a\tb", "ws://a//", "wss:a//b@c",
	"http://a", "https://a:443", "https://a/", "https://[::1]:1", "https://[]", "https://[x]", "HTTPS://A", "a://b", "1a://b", "a+b://c", "https://a:123456", "https://a b", "https://*.a", "file://", "https://a.b_c",
	"wsproxy.io/a", "x.wsproxy.io/a", "xwsproxy.io/a", "WsProxy.io/a", "app.kubernetes.io/a", "kubernetes.io/a", "example.com/a", "example.com/", "Example.com/a", "a/b/c",
	"ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Cluster", "Local", "Equal", "Exists", "NoSchedule", "NoExecute", "DoNotSchedule",
	strings.Repeat("a", 40), strings.Repeat("a", 41), strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 253), strings.Repeat("a", 254),
	"example.com/" + strings.Repeat("a", 63), "example.com/" + strings.Repeat("a", 64), "/" + strings.Repeat("ä", 1023), "/" + strings.Repeat("ä", 1024), "ws://a/" + strings.Repeat("a", 2041), "ws://a/" + strings.Repeat("a", 2042),
}

var numbers = []int64{-2147483648, -1, 0, 1, 2, 100, 101, 1000, 1001, 3600, 3601, 65535, 65536, 86400, 86401, 600000, 600001, 1000000, 1000001, 16777216, 16777217, 31536000, 31536001, 2147483647}

// The CRD and the validator are two programs for one set of rules. Every place
// of some good manifests is given every one of the values above, and the two must
// agree about each.
func TestTheServerAndTheValidatorAgree(t *testing.T) {
	asked, refused := 0, 0
	for _, m := range manifesttest.Read(t, manifests+"valid") {
		if !slices.Contains([]string{"listen", "pod-template", "range-least", "replay-with-buffer", "service-load-balancer", "service-node-port", "upstream-tls", "upstream-service-tls"}, m.Name) {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			stored, err := create(t, "default", m.YAML, true)
			if err != nil {
				t.Fatal(err)
			}
			whole := map[string]any{
				"apiVersion": stored.GetAPIVersion(), "kind": stored.GetKind(),
				"metadata": map[string]any{"name": stored.GetName()}, "spec": stored.Object["spec"],
			}
			variants(whole, func(place string) {
				raw, err := json.Marshal(whole)
				if err != nil {
					t.Fatal(err)
				}
				proxy := &wsproxyv1alpha1.WebSocketProxy{}
				if err := json.Unmarshal(raw, proxy); err != nil {
					// What does not even decode is the decoder's to refuse.
					return
				}
				own := proxy.Validate()
				_, err = create(t, "default", raw, true)
				status := &apierrors.StatusError{}
				if err != nil && (!errors.As(err, &status) || status.Status().Code != http.StatusUnprocessableEntity) {
					t.Fatalf("%s: %v", place, err)
				}
				asked++
				if err != nil {
					refused++
				}
				if (err == nil) != (len(own) == 0) {
					t.Errorf("%s: the server says %v, the validator %v\n%s", place, err, own, raw)
				}
			})
		})
	}
	t.Logf("agreed about %d manifests, %d of them bad", asked, refused)
	// A test that varies nothing would agree about everything.
	if asked < 3000 || refused < asked/10 || refused > asked*9/10 {
		t.Errorf("%d manifests, %d of them bad, are no fair sample", asked, refused)
	}
}

// variants calls f with every leaf of node replaced in turn by every value of its
// kind, and with every key of a map of labels or annotations replaced. The node
// is as before when variants returns.
func variants(node any, f func(place string)) {
	var walk func(place string, node any, set func(any))
	walk = func(place string, node any, set func(any)) {
		switch v := node.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if key == "apiVersion" || key == "kind" || key == "affinity" || key == "requests" || key == "limits" && place == ".spec.podTemplate.resources" {
					continue
				}
				value := v[key]
				walk(place+"."+key, value, func(other any) { v[key] = other })
				v[key] = value
				if strings.HasSuffix(place, "abels") || strings.HasSuffix(place, "annotations") || strings.HasSuffix(place, "nodeSelector") {
					delete(v, key)
					for _, other := range texts {
						if _, taken := v[other]; taken {
							continue
						}
						v[other] = value
						f(place + " key " + other)
						delete(v, other)
					}
				} else if place != "" {
					delete(v, key)
					f(place + " without " + key)
				}
				v[key] = value
			}
		case []any:
			for i, value := range v {
				walk(place+"[]", value, func(other any) { v[i] = other })
				v[i] = value
			}
		case string:
			for _, other := range texts {
				set(other)
				f(place + " = " + other)
			}
		case int64:
			for _, other := range numbers {
				set(other)
				f(place)
			}
		}
	}
	walk("", node, func(any) {})
}
