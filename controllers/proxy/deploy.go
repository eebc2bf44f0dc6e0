// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsproxy/wsproxy/controllers/apply"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// deploy applies what Kubernetes itself runs. It comes after the push, because a
// change of the settings has nothing to wait for here.
func (r *Reconciler) deploy(ctx context.Context, w *work) error {
	switch {
	case w.blocked != nil:
		return nil
	case w.held() && w.deployment != nil:
		// More clients do not wait until somebody has repaired a class.
		return r.scale(ctx, w)
	case w.held():
		return nil
	}
	deployment, err := objects.Deployment(w.proxy, w.class, r.Image, r.Args...)
	if err != nil {
		return err
	}
	wanted := []wish{
		{objects.ServiceAccount(w.proxy), &corev1.ServiceAccount{}},
		{objects.PodDisruptionBudget(w.proxy), &policyv1.PodDisruptionBudget{}},
		{objects.Service(w.proxy), &corev1.Service{}},
		{deployment, &appsv1.Deployment{}},
	}
	if r.CalledFrom != "" {
		wanted = slices.Insert(wanted, 1, wish{objects.NetworkPolicy(w.proxy, r.CalledFrom), &networkingv1.NetworkPolicy{}})
	} else if err := r.open(ctx, w); err != nil {
		return err
	}
	for _, o := range wanted {
		current := o.current
		err := r.Client.Get(ctx, objects.Key(w.proxy), current)
		if apierrors.IsNotFound(err) {
			current = nil
		} else if err != nil {
			return fmt.Errorf("read %s %s: %w", *o.desired.GetKind(), objects.Key(w.proxy), err)
		}
		if o.desired == apply.Configuration(deployment) {
			return r.rollOut(ctx, w, deployment, current)
		}
		_, err = r.Applier.Apply(ctx, w.proxy, o.desired, current)
		if err := w.settle(err); err != nil {
			return err
		}
		if w.held() || w.blocked != nil {
			return nil
		}
	}
	return nil
}

// wish is an object as it is to be, and where to read it as it is.
type wish struct {
	desired apply.Configuration
	current client.Object
}

// open removes the NetworkPolicy that an operator made which was to.
func (r *Reconciler) open(ctx context.Context, w *work) error {
	policy := &networkingv1.NetworkPolicy{}
	err := r.Client.Get(ctx, objects.Key(w.proxy), policy)
	if apierrors.IsNotFound(err) || err == nil && !metav1.IsControlledBy(policy, w.proxy) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read NetworkPolicy %s: %w", objects.Key(w.proxy), err)
	}
	uid := policy.UID
	if err := r.Client.Delete(ctx, policy, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete NetworkPolicy %s: %w", objects.Key(w.proxy), err)
	}
	return nil
}

// orNil keeps a nil pointer from becoming an interface that is not nil.
func orNil(config *corev1.ConfigMap) client.Object {
	if config == nil {
		return nil
	}
	return config
}
