// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxProperties bounds labels, annotations and selectors, so that the API server
// can foresee what checking them costs.
const maxProperties = 64

var (
	reservedAnnotation = regexp.MustCompile(`^([^/]*[.])?wsproxy[.]io/`)
	reservedLabel      = regexp.MustCompile(`^([^/]*[.])?(wsproxy[.]io|app[.]kubernetes[.]io)/`)
)

func (t *PodTemplate) validate(path *field.Path) field.ErrorList {
	errs := validateLabels(path.Child("labels"), t.Labels)
	for _, key := range slices.Sorted(maps.Keys(t.Labels)) {
		if reservedLabel.MatchString(strings.ToLower(key)) {
			errs = append(errs, field.Forbidden(path.Child("labels"),
				fmt.Sprintf("%s: the domains wsproxy.io and app.kubernetes.io are reserved", key)))
		}
	}
	errs = append(errs, validateAnnotations(path.Child("annotations"), t.Annotations)...)
	errs = append(errs, validateResources(path.Child("resources"), &t.Resources)...)
	errs = append(errs, validateLabels(path.Child("nodeSelector"), t.NodeSelector)...)

	at := path.Child("tolerations")
	if len(t.Tolerations) > 64 {
		errs = append(errs, field.TooMany(at, len(t.Tolerations), 64))
	}
	for i := range t.Tolerations {
		errs = append(errs, validateToleration(at.Index(i), &t.Tolerations[i])...)
	}
	at = path.Child("topologySpreadConstraints")
	if len(t.TopologySpreadConstraints) > 16 {
		errs = append(errs, field.TooMany(at, len(t.TopologySpreadConstraints), 16))
	}
	for i := range t.TopologySpreadConstraints {
		errs = append(errs, validateTopologySpread(at.Index(i), &t.TopologySpreadConstraints[i])...)
	}
	return errs
}

// validateAnnotations judges keys in lower case, as Kubernetes does.
func validateAnnotations(path *field.Path, annotations map[string]string) field.ErrorList {
	errs := noMoreThan(path, annotations)
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		lower := strings.ToLower(key)
		if reservedAnnotation.MatchString(lower) {
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("%s: the domain wsproxy.io is reserved", key)))
		}
		if len(validation.IsQualifiedName(lower)) > 0 {
			errs = append(errs, invalid(path, key, "keys must be of the form name or domain/name")...)
		}
	}
	return errs
}

func validateLabels(path *field.Path, labels map[string]string) field.ErrorList {
	errs := noMoreThan(path, labels)
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if len(validation.IsQualifiedName(key)) > 0 {
			errs = append(errs, invalid(path, key, "keys must be of the form name or domain/name")...)
		}
		if len(validation.IsValidLabelValue(labels[key])) > 0 {
			errs = append(errs, invalid(path, labels[key],
				"must be at most 63 letters, digits, hyphens, underscores and dots, starting and ending with a letter or digit")...)
		}
	}
	return errs
}

func noMoreThan(path *field.Path, entries map[string]string) field.ErrorList {
	if len(entries) > maxProperties {
		return field.ErrorList{field.TooMany(path, len(entries), maxProperties)}
	}
	return nil
}

func validateResources(path *field.Path, r *corev1.ResourceRequirements) field.ErrorList {
	var errs field.ErrorList
	if len(r.Claims) > 0 {
		errs = append(errs, field.Forbidden(path.Child("claims"), "must be absent: a data-plane pod has no resource claims"))
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		request, requested := r.Requests[name]
		limit, limited := r.Limits[name]
		if requested && request.Sign() < 0 {
			errs = append(errs, invalid(path.Child("requests"), request.String(), fmt.Sprintf("%s must not be negative", name))...)
		}
		if limited && limit.Sign() < 0 {
			errs = append(errs, invalid(path.Child("limits"), limit.String(), fmt.Sprintf("%s must not be negative", name))...)
		}
		if requested && limited && request.Cmp(limit) > 0 {
			errs = append(errs, invalid(path.Child("requests"), request.String(),
				fmt.Sprintf("%s must be at most the limit, which is %s", name, limit.String()))...)
		}
	}
	return errs
}

// validateToleration holds the rules that Kubernetes has for the tolerations of
// a pod, where refusing them would come too late for whoever applied the proxy.
func validateToleration(path *field.Path, t *corev1.Toleration) field.ErrorList {
	var errs field.ErrorList
	effects := []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	if t.Effect != "" && !slices.Contains(effects, t.Effect) {
		errs = append(errs, field.NotSupported(path.Child("effect"), t.Effect, effects))
	}
	operators := []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}
	if t.Operator != "" && !slices.Contains(operators, t.Operator) {
		errs = append(errs, field.NotSupported(path.Child("operator"), t.Operator, operators))
	}
	if t.Key == "" && t.Operator != corev1.TolerationOpExists {
		errs = append(errs, invalid(path.Child("operator"), t.Operator, "must be Exists where key is absent")...)
	}
	if t.Operator == corev1.TolerationOpExists && t.Value != "" {
		errs = append(errs, invalid(path.Child("value"), t.Value, "must be absent where operator is Exists")...)
	}
	if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
		errs = append(errs, invalid(path.Child("effect"), t.Effect, "must be NoExecute where tolerationSeconds is set")...)
	}
	return errs
}

func validateTopologySpread(path *field.Path, c *corev1.TopologySpreadConstraint) field.ErrorList {
	var errs field.ErrorList
	if c.MaxSkew < 1 {
		errs = append(errs, invalid(path.Child("maxSkew"), c.MaxSkew, "must be at least 1")...)
	}
	if c.TopologyKey == "" {
		errs = append(errs, required(path.Child("topologyKey"), "must be the key of a node label, such as topology.kubernetes.io/zone")...)
	}
	actions := []corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}
	if !slices.Contains(actions, c.WhenUnsatisfiable) {
		errs = append(errs, field.NotSupported(path.Child("whenUnsatisfiable"), c.WhenUnsatisfiable, actions))
	}
	return errs
}
