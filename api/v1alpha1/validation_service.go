// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (s *Service) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	loadBalancer := s.Type == corev1.ServiceTypeLoadBalancer
	external := loadBalancer || s.Type == corev1.ServiceTypeNodePort
	isType := cmp.Or(s.Type, corev1.ServiceTypeClusterIP)

	switch s.Type {
	case "", corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
	default:
		errs = append(errs, field.NotSupported(path.Child("type"), s.Type,
			[]corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer}))
	}
	errs = append(errs, validateAnnotations(path.Child("annotations"), s.Annotations)...)

	at := path.Child("externalTrafficPolicy")
	switch s.ExternalTrafficPolicy {
	case "":
	case corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal:
		if !external {
			errs = append(errs, invalid(at, s.ExternalTrafficPolicy,
				fmt.Sprintf("the type is %s, must be NodePort or LoadBalancer", isType))...)
		}
	default:
		errs = append(errs, field.NotSupported(at, s.ExternalTrafficPolicy,
			[]corev1.ServiceExternalTrafficPolicy{corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal}))
	}

	if class := s.LoadBalancerClass; class != nil {
		at := path.Child("loadBalancerClass")
		if !loadBalancer {
			errs = append(errs, invalid(at, *class, fmt.Sprintf("the type is %s, must be LoadBalancer", isType))...)
		}
		if len(validation.IsQualifiedName(*class)) > 0 {
			errs = append(errs, invalid(at, *class, "must be a name or domain/name, such as example.com/internal")...)
		}
	}

	at = path.Child("loadBalancerSourceRanges")
	if len(s.LoadBalancerSourceRanges) > 0 && !loadBalancer {
		errs = append(errs, field.Forbidden(at, fmt.Sprintf("the type is %s, must be LoadBalancer", isType)))
	}
	return append(errs, validateSet(at, s.LoadBalancerSourceRanges, 256, 64, validateNetwork)...)
}
