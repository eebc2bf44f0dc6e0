// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// revisionHistoryLimit is how many old ReplicaSets stay for a rollback by hand.
const revisionHistoryLimit = 3

// Deployment returns the Deployment of a proxy's pods. Only what Kubernetes
// itself must change is in it (image, resources, placement): a change of the
// settings leaves it as it is, so it never replaces a pod.
//
// image is used where the class (nil: none) names none. args are more arguments of
// the container, those that the operator gives to every proxy.
func Deployment(proxy *wsproxyv1alpha1.WebSocketProxy, class *wsproxyv1alpha1.WebSocketProxyClass, image string, args ...string) (*appsv1ac.DeploymentApplyConfiguration, error) {
	if class != nil && class.Spec.Image != "" {
		image = class.Spec.Image
	}
	template, err := podTemplate(proxy, class, image, args)
	if err != nil {
		return nil, fmt.Errorf("Deployment %s: %w", Name(proxy.Name), err)
	}
	whole, err := hashOf(template)
	if err != nil {
		return nil, fmt.Errorf("Deployment %s: %w", Name(proxy.Name), err)
	}
	own, err := hashOf([]any{proxy.Spec.ClassName, proxy.Spec.PodTemplate})
	if err != nil {
		return nil, fmt.Errorf("Deployment %s: %w", Name(proxy.Name), err)
	}
	var given wsproxyv1alpha1.PodTemplate
	if class != nil {
		given = class.Spec.PodTemplate
	}
	toAll := []any{image, given}
	if len(args) > 0 {
		toAll = append(toAll, args)
	}
	shared, err := hashOf(toAll)
	if err != nil {
		return nil, fmt.Errorf("Deployment %s: %w", Name(proxy.Name), err)
	}
	return appsv1ac.Deployment(Name(proxy.Name), proxy.Namespace).
		WithLabels(Labels(proxy.Name)).
		WithAnnotations(map[string]string{AnnotationPodTemplate: whole, AnnotationOwnTemplate: own, AnnotationSharedTemplate: shared}).
		WithOwnerReferences(ownerReference(proxy)).
		WithSpec(appsv1ac.DeploymentSpec().
			WithReplicas(proxy.Spec.EffectiveReplicas()).
			WithRevisionHistoryLimit(revisionHistoryLimit).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(Labels(proxy.Name))).
			WithStrategy(appsv1ac.DeploymentStrategy().
				WithType(appsv1.RollingUpdateDeploymentStrategyType).
				WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
					// A pod goes only when its successor takes clients.
					WithMaxUnavailable(intstr.FromInt32(0)).
					WithMaxSurge(intstr.FromString("25%")))).
			WithTemplate(template)), nil
}

// hashOf is the same for the same template: its JSON has fields and keys in a fixed
// order.
func hashOf(template any) (string, error) {
	raw, err := json.Marshal(template)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8]), nil
}
