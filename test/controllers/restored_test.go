// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// A cluster that is restored from a backup is, for the operator, pods that have
// something which the ConfigMap has never had.
func TestPodsFollowAClusterThatWasRestoredAndAreNeverPushedBackwards(t *testing.T) {
	for name, future := range map[string]func(*dataplanev1alpha1.Snapshot){
		"a higher version": func(s *dataplanev1alpha1.Snapshot) {
			s.Version += 1_000_000
			s.Settings.MaxRetries, s.Digest = 9, []byte("what is lost")
		},
		"a higher version of the same content": func(s *dataplanev1alpha1.Snapshot) { s.Version += 1_000_000 },
		"the same version with another content": func(s *dataplanev1alpha1.Snapshot) {
			s.Settings.MaxRetries, s.Digest = 9, []byte("what is lost")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			before := startOperator(t, r.namespace)
			pods := r.serving("echo", 2)
			before.stop()
			for _, p := range pods {
				p.set(func() {
					future(p.inForce)
					p.applied = []uint64{p.inForce.GetVersion()}
				})
			}
			forgotten := pods[0].inForce.GetVersion()

			startOperator(t, r.namespace)
			for _, p := range pods {
				p.has(func(s *dataplanev1alpha1.Snapshot) bool {
					return s.GetVersion() > forgotten && s.GetSettings().GetMaxRetries() == 3
				})
			}
			r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
			r.eventually(func() error {
				list := &eventsv1.EventList{}
				if err := r.api.List(r.Context(), list, client.InNamespace(r.namespace)); err != nil {
					return err
				}
				for _, e := range list.Items {
					if e.Reason == "ClusterRestored" {
						return nil
					}
				}
				return fmt.Errorf("none of %d events tells of it", len(list.Items))
			})
			// From here on everything goes its way, with versions that grow.
			r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
			for _, p := range pods {
				p.retries(7)
				p.mu.Lock()
				for i, version := range p.applied[1:] {
					if version <= p.applied[i] {
						t.Errorf("pod %s was pushed %v", p.object.Name, p.applied)
					}
				}
				p.mu.Unlock()
			}
			r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
			offset := get[corev1.ConfigMap](r, "echo-wsproxy").Annotations[objects.AnnotationVersionOffset]
			if offset == "" {
				t.Error("the ConfigMap does not say what is added to its resourceVersion")
			}
		})
	}
}

// Believing it would leave no version for the proxy that is higher.
func TestAPodThatClaimsAVersionThatCannotBeIsNamedAndNotFollowed(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	pods := r.serving("echo", 2)
	pods[0].set(func() { pods[0].ahead = 1<<53 - 1_000_000_000 })
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	pods[1].retries(7)
	r.eventually(func() error {
		c := r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonPodsLagging)
		if !strings.HasPrefix(c.Message, "pod echo-0: version ") || !strings.HasSuffix(c.Message, ", which no cluster can have given; delete the pod") {
			return fmt.Errorf("Programmed says %q", c.Message)
		}
		return nil
	})
	r.events("echo", wsproxyv1alpha1.ReasonPodsLagging, corev1.EventTypeWarning)
	if offset := get[corev1.ConfigMap](r, "echo-wsproxy").Annotations[objects.AnnotationVersionOffset]; offset != "" {
		t.Errorf("the versions were raised by %s", offset)
	}
}

// A pod that says that it has something newer whatever it is given must not keep the
// API server busy with its ConfigMap.
func TestAPodThatIsAlwaysAheadIsFollowedAtItsLeisure(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	pods := r.serving("echo", 2)
	started := time.Now()
	pods[0].set(func() { pods[0].ahead = 1000 })
	offsets := map[string]bool{}
	for retries := range int32(10) {
		r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":%d}}}`, 10+retries)
		pods[1].retries(10 + retries)
		r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonPodsLagging)
		if offset := get[corev1.ConfigMap](r, "echo-wsproxy").Annotations[objects.AnnotationVersionOffset]; offset != "" {
			offsets[offset] = true
		}
	}
	if most := 1 + int(time.Since(started)/(10*time.Second)); len(offsets) == 0 || len(offsets) > most {
		t.Errorf("the versions were raised %d times, want 1 to %d", len(offsets), most)
	}
}
