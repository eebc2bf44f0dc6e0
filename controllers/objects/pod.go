// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// user is the uid and gid "nonroot" of the images.
const user = 65532

// podTemplate returns the template of the data-plane pods: what is in force
// from proxy and class, around a container that satisfies the Pod Security
// Standard "restricted".
func podTemplate(proxy *wsproxyv1alpha1.WebSocketProxy, class *wsproxyv1alpha1.WebSocketProxyClass, image string, args []string) (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	t := proxy.Spec.EffectivePodTemplate(class)
	resources, err := resources(t.Resources)
	if err != nil {
		return nil, err
	}
	spec := corev1ac.PodSpec().
		WithServiceAccountName(Name(proxy.Name)).
		WithAutomountServiceAccountToken(false).
		// One environment variable per Service of the namespace would be of no
		// use, and thousands of them make a container fail to start.
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(dataplanev1alpha1.GracePeriodSeconds).
		WithSecurityContext(corev1ac.PodSecurityContext().
			WithRunAsNonRoot(true).
			WithRunAsUser(user).
			WithRunAsGroup(user).
			WithFSGroup(user).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))).
		WithContainers(container(image, args).WithResources(resources)).
		WithVolumes(volumes(proxy.Name)...).
		WithNodeSelector(t.NodeSelector)
	if err := place(spec, proxy, t); err != nil {
		return nil, err
	}

	labels := maps.Clone(t.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, Labels(proxy.Name))
	return corev1ac.PodTemplateSpec().
		WithLabels(labels).
		WithAnnotations(t.Annotations).
		WithSpec(spec), nil
}

// place adds tolerations, affinity and spreading.
func place(spec *corev1ac.PodSpecApplyConfiguration, proxy *wsproxyv1alpha1.WebSocketProxy, t wsproxyv1alpha1.PodTemplate) error {
	tolerations, err := convertAll[corev1ac.TolerationApplyConfiguration](t.Tolerations)
	if err != nil {
		return err
	}
	spreads, err := convertAll[corev1ac.TopologySpreadConstraintApplyConfiguration](t.TopologySpreadConstraints)
	if err != nil {
		return err
	}
	for _, s := range spreads {
		if s.LabelSelector == nil {
			s.WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(Labels(proxy.Name)))
		}
	}
	spec.WithTolerations(tolerations...).WithTopologySpreadConstraints(spreads...)
	if t.Affinity == nil {
		return nil
	}
	affinity, err := convert[corev1ac.AffinityApplyConfiguration](t.Affinity)
	if err != nil {
		return err
	}
	spec.WithAffinity(affinity)
	return nil
}

func volumes(proxy string) []*corev1ac.VolumeApplyConfiguration {
	return []*corev1ac.VolumeApplyConfiguration{
		corev1ac.Volume().WithName(volumeConfig).WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(Name(proxy))),
		// The private keys are readable for the group of the pod only.
		corev1ac.Volume().WithName(volumeSecret).WithSecret(corev1ac.SecretVolumeSource().
			WithSecretName(Name(proxy)).
			WithDefaultMode(0o440)),
		corev1ac.Volume().WithName(volumeState).WithEmptyDir(corev1ac.EmptyDirVolumeSource()),
	}
}
