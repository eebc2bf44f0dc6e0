// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/controllers/rollout"
)

// waitingDelay is the pause before a proxy that waits for its turn asks again
// without being told.
const waitingDelay = 30 * time.Second

// rollOut applies the Deployment. Where that replaces pods, and not because the
// proxy itself says so, it may have to wait for other proxies to be done with theirs;
// the number of pods never waits. current is what the cache holds.
func (r *Reconciler) rollOut(ctx context.Context, w *work, desired *appsv1ac.DeploymentApplyConfiguration, current client.Object) error {
	changes := func(annotation string) (known, changed bool) {
		if w.deployment == nil {
			return false, false
		}
		was, known := w.deployment.Annotations[annotation]
		return known, was != desired.Annotations[annotation]
	}
	_, replaces := changes(objects.AnnotationPodTemplate)
	if replaces {
		var all appsv1.DeploymentList
		if err := r.Client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("list Deployments: %w", err)
		}
		// Whoever changes a proxy waits for its pods, and for no others. Where it is
		// not known what the proxy said before, an operator that did not write it
		// down made the Deployment: then it is the new one that changes it.
		known, own := changes(objects.AnnotationOwnTemplate)
		if w.waiting = r.turn(w, desired, all.Items, known && own); w.waiting != nil {
			w.after(waitingDelay)
			return r.scale(ctx, w)
		}
	}
	if w.deployment != nil && !replaces {
		// Pods that stay because the proxy says otherwise prove nothing of what the
		// class says now.
		delete(desired.Annotations, objects.AnnotationSharedTemplate)
		if was, known := w.deployment.Annotations[objects.AnnotationSharedTemplate]; known {
			desired.WithAnnotations(map[string]string{objects.AnnotationSharedTemplate: was})
		}
	}
	result, err := r.Applier.Apply(ctx, w.proxy, desired, current)
	if replaces {
		r.Rollouts.Written(w.key, result.Generation)
	}
	if err != nil {
		return w.settle(err)
	}
	w.generation = result.Generation
	if reason := why(w.deployment, desired); replaces && reason != "" {
		r.Recorder.Eventf(w.proxy, nil, corev1.EventTypeNormal, wsproxyv1alpha1.EventReplacingPods, "Reconcile",
			"the pods are replaced one after the other, each after a drain: %s", reason)
	}
	return nil
}

// turn says why a proxy has to wait before it replaces its pods; nil where it may,
// and is counted among those that do. Who changed its own spec must not wait. A proxy
// whose pods are among those that do not become ready has nothing to lose, and may be
// what is healed: by an operator that makes another template of the same.
func (r *Reconciler) turn(w *work, desired *appsv1ac.DeploymentApplyConfiguration, all []appsv1.Deployment, must bool) *verdict {
	same := func(d *appsv1.Deployment) bool {
		return d.Annotations[objects.AnnotationSharedTemplate] == desired.Annotations[objects.AnnotationSharedTemplate]
	}
	_, givenUp := rollout.GivenUp(w.deployment)
	given := givenUp && same(w.deployment)
	if failed := rollout.Failed(all, same); failed > 0 && !must && !given {
		return &verdict{wsproxyv1alpha1.ReasonRolloutStopped, fmt.Sprintf("waits to replace its pods: the new pods of %d proxies "+
			"that were given the same image and podTemplate do not become ready, so no further proxy is given them", failed)}
	}
	if !r.Rollouts.Take(w.key, all, must) {
		return &verdict{wsproxyv1alpha1.ReasonProgressing,
			fmt.Sprintf("waits to replace its pods: %d other proxies replace theirs, and no more may at a time", r.Rollouts.Most())}
	}
	return nil
}

// scale gives a Deployment whose template has to wait, or is not to change, the number
// of pods that is wanted. Everything else stays as it was applied last.
func (r *Reconciler) scale(ctx context.Context, w *work) error {
	wanted := w.proxy.Spec.EffectiveReplicas()
	if w.deployment.Spec.Replicas != nil && *w.deployment.Spec.Replicas == wanted {
		return nil
	}
	// The cache has no managed fields, which say what was applied.
	live := &appsv1.Deployment{}
	if err := r.Live.Get(ctx, objects.Key(w.proxy), live); err != nil {
		return fmt.Errorf("read Deployment %s: %w", objects.Key(w.proxy), err)
	}
	applied, err := appsv1ac.ExtractDeployment(live, objects.FieldOwner)
	if err != nil {
		return fmt.Errorf("extract Deployment %s: %w", objects.Key(w.proxy), err)
	}
	if applied.Spec == nil {
		// A backup that was restored has no managed fields.
		applied.WithSpec(appsv1ac.DeploymentSpec())
	}
	applied.Spec.WithReplicas(wanted)
	result, err := r.Applier.Write(ctx, applied.WithResourceVersion(live.ResourceVersion))
	if err != nil {
		return w.settle(err)
	}
	w.generation = result.Generation
	return nil
}

// why says what is new about the pods of a Deployment; nothing where that is not
// known.
func why(before *appsv1.Deployment, after *appsv1ac.DeploymentApplyConfiguration) string {
	if before == nil {
		return ""
	}
	was, is := "", ""
	for _, c := range before.Spec.Template.Spec.Containers {
		if c.Name == objects.ContainerName {
			was = c.Image
		}
	}
	for _, c := range after.Spec.Template.Spec.Containers {
		if *c.Name == objects.ContainerName {
			is = *c.Image
		}
	}
	if was != is {
		return fmt.Sprintf("their image was %s and is %s", was, is)
	}
	if before.Annotations[objects.AnnotationPodTemplate] == "" {
		return ""
	}
	return "their podTemplate changed"
}
