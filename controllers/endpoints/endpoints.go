// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// PortError says that a Service does not offer what a proxy needs of it.
type PortError struct{ Message string }

func (e *PortError) Error() string { return e.Message }

// Resolve returns the addresses behind a port of a Service, sorted and each
// once: the endpoints that are ready, and as terminating those that still serve
// while they go away. A Service without endpoints has none: that is no error.
//
// Errors: *PortError where the Service has no such TCP port, or no endpoints of
// its own because it is of type ExternalName.
func Resolve(service *corev1.Service, port int32, from []discoveryv1.EndpointSlice) ([]*dataplanev1alpha1.Endpoint, error) {
	name, err := portName(service, port)
	if err != nil {
		return nil, err
	}
	// The value says whether the endpoint is terminating. An address may be in
	// two slices while the controller moves it; it is alive if it is in one.
	found := map[string]bool{}
	for i := range from {
		slice := &from[i]
		number, ok := slicePort(slice, name)
		if !ok {
			continue
		}
		for j := range slice.Endpoints {
			endpoint := &slice.Endpoints[j]
			terminating, ok := usable(endpoint.Conditions)
			if !ok {
				continue
			}
			for _, ip := range endpoint.Addresses {
				address := net.JoinHostPort(ip, strconv.Itoa(int(number)))
				before, seen := found[address]
				found[address] = terminating && (before || !seen)
			}
		}
	}
	endpoints := make([]*dataplanev1alpha1.Endpoint, 0, len(found))
	for address, terminating := range found {
		endpoints = append(endpoints, &dataplanev1alpha1.Endpoint{Address: address, Terminating: terminating})
	}
	slices.SortFunc(endpoints, func(a, b *dataplanev1alpha1.Endpoint) int { return cmp.Compare(a.GetAddress(), b.GetAddress()) })
	return endpoints, nil
}

// portName returns the name by which the slices of a Service call one of its
// ports.
func portName(service *corev1.Service, port int32) (string, error) {
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return "", &PortError{fmt.Sprintf("Service %q is of type ExternalName and has no endpoints; use upstream.url instead", service.Name)}
	}
	for _, p := range service.Spec.Ports {
		if p.Port == port && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") {
			return p.Name, nil
		}
	}
	return "", &PortError{fmt.Sprintf("Service %q has no TCP port %d", service.Name, port)}
}

// slicePort returns the number that the named port has in a slice, which may
// differ from slice to slice where pods name their ports.
func slicePort(slice *discoveryv1.EndpointSlice, name string) (int32, bool) {
	if slice.AddressType != discoveryv1.AddressTypeIPv4 && slice.AddressType != discoveryv1.AddressTypeIPv6 {
		return 0, false
	}
	for _, p := range slice.Ports {
		tcp := p.Protocol == nil || *p.Protocol == corev1.ProtocolTCP
		if tcp && p.Port != nil && (p.Name == nil && name == "" || p.Name != nil && *p.Name == name) {
			return *p.Port, true
		}
	}
	return 0, false
}

// usable reads the conditions of an endpoint as their documentation says: an
// unknown ready is ready, an unknown serving is what ready is.
func usable(c discoveryv1.EndpointConditions) (terminating, ok bool) {
	ready := c.Ready == nil || *c.Ready
	serving := ready
	if c.Serving != nil {
		serving = *c.Serving
	}
	terminating = c.Terminating != nil && *c.Terminating
	if terminating {
		return true, serving
	}
	return false, ready
}
