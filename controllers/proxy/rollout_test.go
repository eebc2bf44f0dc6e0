// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/controllers/rollout"
)

// An operator that was upgraded may make pods that work out of an image and a
// podTemplate that failed. Those that failed must be given them, or nothing would
// ever show that they do.
func TestWhoHasFailedIsGivenAnotherTemplateOfTheSame(t *testing.T) {
	given := func(name, shared string, failed bool) appsv1.Deployment {
		d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: objects.Name(name), Annotations: map[string]string{objects.AnnotationSharedTemplate: shared},
			OwnerReferences: []metav1.OwnerReference{{Kind: "WebSocketProxy", Name: name, Controller: new(true)}},
		}}
		if failed {
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: "False"}}
		}
		return d
	}
	all := []appsv1.Deployment{given("failed", "new", true), given("waits", "old", false), given("older", "old", true)}
	desired := appsv1ac.Deployment("", "").WithAnnotations(map[string]string{objects.AnnotationSharedTemplate: "new"})
	for i, want := range []string{"", wsproxyv1alpha1.ReasonRolloutStopped, wsproxyv1alpha1.ReasonRolloutStopped} {
		r := &Reconciler{Rollouts: rollout.New(1)}
		w := &work{key: types.NamespacedName{Namespace: "shop", Name: all[i].OwnerReferences[0].Name}, deployment: &all[i]}
		got := r.turn(w, desired, all, false)
		if (got == nil) != (want == "") || got != nil && got.reason != want {
			t.Errorf("%s: %+v, want %q", w.key.Name, got, want)
		}
	}
}
