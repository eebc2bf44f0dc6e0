// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"maps"
	"slices"
)

// DeepCopyInto copies all of in into out. It is written by hand because the
// generator does not know maps whose values are an alias, such as LabelValue.
func (in *PodTemplate) DeepCopyInto(out *PodTemplate) {
	*out = *in
	out.Labels = maps.Clone(in.Labels)
	out.Annotations = maps.Clone(in.Annotations)
	in.Resources.DeepCopyInto(&out.Resources)
	out.NodeSelector = maps.Clone(in.NodeSelector)
	out.Tolerations = slices.Clone(in.Tolerations)
	for i := range in.Tolerations {
		in.Tolerations[i].DeepCopyInto(&out.Tolerations[i])
	}
	out.Affinity = in.Affinity.DeepCopy()
	out.TopologySpreadConstraints = slices.Clone(in.TopologySpreadConstraints)
	for i := range in.TopologySpreadConstraints {
		in.TopologySpreadConstraints[i].DeepCopyInto(&out.TopologySpreadConstraints[i])
	}
}

// DeepCopy returns a copy that shares nothing with in.
func (in *PodTemplate) DeepCopy() *PodTemplate {
	if in == nil {
		return nil
	}
	out := new(PodTemplate)
	in.DeepCopyInto(out)
	return out
}
