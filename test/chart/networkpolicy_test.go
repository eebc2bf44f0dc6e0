// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// party is one end of a flow: a pod, which has a namespace, or an address that is none.
type party struct {
	namespace string
	labels    map[string]string
	address   string
}

// flow is a connection that somebody opens.
type flow struct {
	from, to party
	protocol corev1.Protocol
	port     int32
}

// policies are those of a cluster.
type policies []networkingv1.NetworkPolicy

// policiesOf are those among objects.
func policiesOf(t *testing.T, all objects) policies {
	t.Helper()
	var found policies
	for _, o := range all {
		if o.GetKind() != "NetworkPolicy" {
			continue
		}
		var p networkingv1.NetworkPolicy
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &p, true); err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
	return found
}

// allows judges a flow as the documentation of NetworkPolicy says: it has to be let out
// by those that select where it comes from, and let in by those that select where it
// goes. A pod that no policy selects for a direction is open in that one. What comes from
// the node of a pod is let in whatever they say, and is no matter for this.
func (all policies) allows(f flow) (bool, error) {
	out, err := all.lets(f, networkingv1.PolicyTypeEgress, f.from, f.to)
	if err != nil || !out {
		return false, err
	}
	return all.lets(f, networkingv1.PolicyTypeIngress, f.to, f.from)
}

// lets judges one direction: the policies of one party about the other.
func (all policies) lets(f flow, direction networkingv1.PolicyType, of, other party) (bool, error) {
	selected := false
	for _, p := range all {
		if of.namespace == "" || p.Namespace != of.namespace || !slices.Contains(p.Spec.PolicyTypes, direction) {
			continue
		}
		chosen, err := matches(&p.Spec.PodSelector, of.labels)
		if err != nil || !chosen {
			if err != nil {
				return false, err
			}
			continue
		}
		selected = true
		for _, r := range rules(p, direction) {
			if !hasPort(r.ports, f) {
				continue
			}
			if len(r.peers) == 0 {
				return true, nil
			}
			for _, peer := range r.peers {
				if is, err := isPeer(peer, p.Namespace, other); err != nil || is {
					return is, err
				}
			}
		}
	}
	return !selected, nil
}

type rule struct {
	ports []networkingv1.NetworkPolicyPort
	peers []networkingv1.NetworkPolicyPeer
}

func rules(p networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []rule {
	var found []rule
	if direction == networkingv1.PolicyTypeEgress {
		for _, r := range p.Spec.Egress {
			found = append(found, rule{r.Ports, r.To})
		}
		return found
	}
	for _, r := range p.Spec.Ingress {
		found = append(found, rule{r.Ports, r.From})
	}
	return found
}

// hasPort says whether ports, which are all where there are none, have that of a flow.
func hasPort(ports []networkingv1.NetworkPolicyPort, f flow) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		if protocol != f.protocol {
			return false
		}
		if p.Port == nil {
			return true
		}
		last := p.Port.IntVal
		if p.EndPort != nil {
			last = *p.EndPort
		}
		return p.Port.IntVal <= f.port && f.port <= last
	})
}

func isPeer(peer networkingv1.NetworkPolicyPeer, namespace string, other party) (bool, error) {
	if peer.IPBlock != nil {
		return inBlock(*peer.IPBlock, other)
	}
	if other.namespace == "" {
		return false, nil
	}
	if peer.NamespaceSelector == nil {
		if other.namespace != namespace {
			return false, nil
		}
	} else if in, err := matches(peer.NamespaceSelector, map[string]string{corev1.LabelMetadataName: other.namespace}); err != nil || !in {
		return false, err
	}
	if peer.PodSelector == nil {
		return true, nil
	}
	return matches(peer.PodSelector, other.labels)
}

// inBlock says whether a party is in a block. Pods have addresses, too, but who names
// those by a block has made a mistake.
func inBlock(block networkingv1.IPBlock, other party) (bool, error) {
	if other.address == "" {
		return false, nil
	}
	prefix, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return false, err
	}
	address, err := netip.ParseAddr(other.address)
	if err != nil || !prefix.Contains(address) {
		return false, err
	}
	for _, except := range block.Except {
		prefix, err := netip.ParsePrefix(except)
		if err != nil || prefix.Contains(address) {
			return false, err
		}
	}
	return true, nil
}

func matches(selector *metav1.LabelSelector, of map[string]string) (bool, error) {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, fmt.Errorf("selector %v: %w", selector, err)
	}
	return s.Matches(labels.Set(of)), nil
}
