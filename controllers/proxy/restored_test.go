// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"testing"

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
