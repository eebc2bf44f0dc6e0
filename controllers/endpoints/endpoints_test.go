// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func service(ports ...corev1.ServicePort) *corev1.Service {
	s := &corev1.Service{}
	s.Name = "chat"
	s.Spec.Ports = ports
	return s
}

func slice(family discoveryv1.AddressType, port string, number int32, endpoints ...discoveryv1.Endpoint) discoveryv1.EndpointSlice {
	return discoveryv1.EndpointSlice{
		AddressType: family,
		Ports:       []discoveryv1.EndpointPort{{Name: new("other"), Port: new(int32(1))}, {Name: &port, Port: &number, Protocol: new(corev1.ProtocolTCP)}},
		Endpoints:   endpoints,
	}
}

func endpoint(address string, ready, serving, terminating *bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ready, Serving: serving, Terminating: terminating}}
}

func TestResolve(t *testing.T) {
	const v4, v6 = discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6
	yes, no := new(true), new(false)
	named := corev1.ServicePort{Name: "ws", Port: 80}
	for name, c := range map[string]struct {
		service *corev1.Service
		slices  []discoveryv1.EndpointSlice
		// want are the addresses; one that is terminating has a "-" before it.
		want []string
	}{
		"no slice":         {service(named), nil, nil},
		"ready by default": {service(named), []discoveryv1.EndpointSlice{slice(v4, "ws", 8080, endpoint("10.0.0.1", nil, nil, nil))}, []string{"10.0.0.1:8080"}},
		"not ready":        {service(named), []discoveryv1.EndpointSlice{slice(v4, "ws", 8080, endpoint("10.0.0.1", no, no, no))}, nil},
		"not ready, no word on serving": {service(named),
			[]discoveryv1.EndpointSlice{slice(v4, "ws", 8080, endpoint("10.0.0.1", no, nil, yes))}, nil},
		"terminating and serving": {service(named),
			[]discoveryv1.EndpointSlice{slice(v4, "ws", 8080, endpoint("10.0.0.1", no, yes, yes))}, []string{"-10.0.0.1:8080"}},
		"terminating and not serving": {service(named),
			[]discoveryv1.EndpointSlice{slice(v4, "ws", 8080, endpoint("10.0.0.1", no, no, yes))}, nil},
		"sorted, each once, both families, a port per slice": {service(named), []discoveryv1.EndpointSlice{
			slice(v6, "ws", 8081, endpoint("fd00::7", yes, yes, no)),
			slice(v4, "ws", 8080, endpoint("10.0.0.2", yes, yes, no), endpoint("10.0.0.1", yes, yes, no)),
			slice(v4, "ws", 8080, endpoint("10.0.0.2", yes, yes, no)),
		}, []string{"10.0.0.1:8080", "10.0.0.2:8080", "[fd00::7]:8081"}},
		"alive in one of two slices": {service(named), []discoveryv1.EndpointSlice{
			slice(v4, "ws", 8080, endpoint("10.0.0.1", no, yes, yes)),
			slice(v4, "ws", 8080, endpoint("10.0.0.1", yes, yes, no)),
			slice(v4, "ws", 8080, endpoint("10.0.0.1", no, yes, yes)),
		}, []string{"10.0.0.1:8080"}},
		"a port without a name": {service(corev1.ServicePort{Port: 80}),
			[]discoveryv1.EndpointSlice{slice(v4, "", 8080, endpoint("10.0.0.1", nil, nil, nil))}, []string{"10.0.0.1:8080"}},
		"a slice without the port": {service(named), []discoveryv1.EndpointSlice{slice(v4, "admin", 8080, endpoint("10.0.0.1", nil, nil, nil))}, nil},
		"names instead of addresses": {service(named),
			[]discoveryv1.EndpointSlice{slice(discoveryv1.AddressTypeFQDN, "ws", 8080, endpoint("a.example", nil, nil, nil))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := Resolve(c.service, 80, c.slices)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range found {
				address := e.GetAddress()
				if e.GetTerminating() {
					address = "-" + address
				}
				got = append(got, address)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestResolveRefusesWhatHasNoSuchPort(t *testing.T) {
	external := service(corev1.ServicePort{Name: "ws", Port: 80})
	external.Spec.Type = corev1.ServiceTypeExternalName
	for name, s := range map[string]*corev1.Service{
		"another port":  service(corev1.ServicePort{Name: "ws", Port: 81}),
		"UDP":           service(corev1.ServicePort{Name: "ws", Port: 80, Protocol: corev1.ProtocolUDP}),
		"external name": external,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Resolve(s, 80, nil)
			if wrong := (*PortError)(nil); !errors.As(err, &wrong) {
				t.Errorf("got %v", err)
			}
		})
	}
}
