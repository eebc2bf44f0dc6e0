// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/apply"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/controllers/push"
)

// oneConfig is a cluster that has a ConfigMap, and nothing else that is asked for.
type oneConfig struct {
	client.Client
	config *corev1.ConfigMap
	// basedOn are the resourceVersions that writes were based on.
	basedOn []string
}

func (c *oneConfig) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	c.config.DeepCopyInto(o.(*corev1.ConfigMap))
	return nil
}

func (c *oneConfig) Apply(_ context.Context, o runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	config := o.(*corev1ac.ConfigMapApplyConfiguration)
	c.basedOn = append(c.basedOn, *config.ResourceVersion)
	config.WithResourceVersion("501")
	return nil
}

// Every pod may lie, and none may leave its proxy without versions that are higher.
func TestAVersionThatNoClusterCanHaveGivenRaisesNothing(t *testing.T) {
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "500", Annotations: map[string]string{objects.AnnotationVersionOffset: "1000"}}}
	pod := func(version uint64) push.Pod {
		return push.Pod{Version: version, Newer: true, Problem: &push.Refusal{Message: "ahead"}}
	}
	for name, c := range map[string]struct {
		version, offset uint64
		believed        bool
	}{
		"a little ahead":            {1_501, 1_002, true},
		"as far as can be":          {1_500 + maxLead, 1_001 + maxLead, true},
		"farther":                   {1_501 + maxLead, 1_000, false},
		"as high as a number can":   {maxVersion, 1_000, false},
		"higher than a number can":  {1 << 63, 1_000, false},
		"the highest that there is": {math.MaxUint64, 1_000, false},
	} {
		got, err := raised(config, []push.Pod{pod(c.version)})
		if err != nil || got != c.offset {
			t.Errorf("%s: the offset becomes %d (%v), want %d", name, got, err, c.offset)
		}
		message := lag(observedPod{name: "chat-0", pushed: pod(c.version)}, 1_500)
		if named := strings.HasSuffix(message, "which no cluster can have given; delete the pod"); named == c.believed {
			t.Errorf("%s: %q", name, message)
		}
	}
}

// A pod that is always a little ahead uses versions up, too.
func TestRaisesFollowMoreAndMoreSlowly(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := &Reconciler{}
	count := func(over time.Duration) (raises int) {
		for end := now.Add(over); now.Before(end); {
			w := &work{now: now}
			if r.mayRaise(w) {
				r.noteRaised(w)
				raises++
				continue
			}
			if w.requeue <= 0 {
				t.Fatal("nobody looks again")
			}
			now = now.Add(w.requeue)
		}
		return raises
	}
	if got := count(time.Minute); got != 3 { // At 0 s, 10 s and 30 s.
		t.Errorf("%d raises in the first minute", got)
	}
	count(24 * time.Hour)
	perDay := count(100*24*time.Hour) / 100
	if years := maxVersion / maxLead / max(perDay, 1) / 365; perDay != 1 || years < 100 {
		t.Errorf("%d raises a day, and the versions last for %d years", perDay, years)
	}
}

// The operator remembers what it wrote before a cluster was restored under it, when
// the proxy had a generation that it does not have any more.
func TestWhatIsRememberedOfAClusterThatWasRestoredIsForgotten(t *testing.T) {
	proxy := &wsproxyv1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "chat", UID: "chat-uid", Generation: 8}}
	proxy.Spec.Upstream.URL = "ws://upstream.example"
	config := func(resourceVersion, madeFrom string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: objects.Name("chat"), ResourceVersion: resourceVersion,
			Annotations:     map[string]string{objects.AnnotationMadeFrom: madeFrom},
			OwnerReferences: []metav1.OwnerReference{{UID: proxy.UID, Controller: new(true)}},
		}}
	}
	cluster := &oneConfig{config: config("500", "chat-uid/7")}
	w := &work{proxy: proxy, key: client.ObjectKeyFromObject(proxy)}
	pusher := push.New(push.Options{Metrics: push.NewMetrics(prometheus.NewRegistry())})
	defer pusher.Close()
	r := &Reconciler{
		Client: cluster, Live: cluster, Applier: apply.New(cluster, cluster, objects.FieldOwner), Pusher: pusher,
		configs: map[types.NamespacedName]*corev1.ConfigMap{w.key: config("900", "chat-uid/10")},
	}
	if err := r.configure(t.Context(), w); err == nil {
		t.Error("the first look wrote over something that was made from a newer proxy")
	}
	if err := r.configure(t.Context(), w); err != nil {
		t.Errorf("the second look: %v", err)
	}
	if len(cluster.basedOn) != 1 || cluster.basedOn[0] != "500" {
		t.Errorf("writes were based on %v, want the present 500", cluster.basedOn)
	}
}
