// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/certificates"
)

// backend makes a Service "backend" with a port 80 named ws.
func (r *room) backend() *corev1.Service {
	r.Helper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "backend"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "ws", Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}
	r.create(s)
	return s
}

// slice makes an EndpointSlice of that Service.
func (r *room) slice(addresses ...string) *discoveryv1.EndpointSlice {
	r.Helper()
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "backend-1", Labels: map[string]string{discoveryv1.LabelServiceName: "backend"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("ws"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
	}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}})
	}
	r.create(s)
	return s
}

// toBackend makes a proxy use the Service.
func toBackend(s *wsproxyv1alpha1.WebSocketProxySpec) {
	s.Upstream = wsproxyv1alpha1.Upstream{ServiceRef: &wsproxyv1alpha1.ServiceReference{Name: "backend", Port: 80}}
}

// endpoints waits until a pod has exactly these.
func (p *pod) endpoints(addresses ...string) {
	p.room.Helper()
	p.has(func(s *dataplanev1alpha1.Snapshot) bool {
		var got []string
		for _, e := range s.GetUpstream().GetEndpoints() {
			got = append(got, e.GetAddress())
		}
		return s.GetUpstream().GetService() && slices.Equal(got, addresses)
	})
}

func TestAChangeOfTheEndpointsIsPushed(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.backend()
	slice := r.slice("10.0.0.1")
	p := r.serving("echo", 1, toBackend)[0]
	p.endpoints("10.0.0.1:8080")

	r.patch(slice, `{"endpoints":[{"addresses":["10.0.0.2"],"conditions":{"ready":true}},
		{"addresses":["10.0.0.1"],"conditions":{"ready":false,"serving":true,"terminating":true}}]}`)
	p.endpoints("10.0.0.1:8080", "10.0.0.2:8080")
	p.has(func(s *dataplanev1alpha1.Snapshot) bool {
		e := s.GetUpstream().GetEndpoints()
		return e[0].GetTerminating() && !e[1].GetTerminating()
	})

	// Also while the spec is not accepted, from the Service that was accepted:
	// the pods would go on connecting to addresses that are somebody else's.
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"),
		`{"spec":{"className":"missing","upstream":{"serviceRef":{"name":"another"}},"settings":{"maxRetries":7}}}`)
	r.condition("echo", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionFalse, wsproxyv1alpha1.ReasonClassNotFound)
	r.patch(slice, `{"endpoints":[{"addresses":["10.0.0.3"],"conditions":{"ready":true}}]}`)
	p.endpoints("10.0.0.3:8080")
	p.retries(wsproxyv1alpha1.DefaultMaxRetries)
}

func TestAMissingServiceIsSaidAndHeals(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.proxy("echo", toBackend)
	r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, wsproxyv1alpha1.ReasonServiceNotFound)
	service := r.backend()
	r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, wsproxyv1alpha1.ReasonResolved)
	r.patch(service, `{"spec":{"ports":[{"name":"ws","port":81,"targetPort":8080}]}}`)
	r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, wsproxyv1alpha1.ReasonServicePortUnknown)
	r.patch(service, `{"spec":{"ports":[{"name":"ws","port":80,"targetPort":8080}]}}`)
	r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, wsproxyv1alpha1.ReasonResolved)
}

// certificate returns a certificate that anybody might have made, PEM.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	policy := certificates.DefaultPolicy()
	state, err := certificates.State{}.Advance(time.Now(), policy)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := state.Issue(certificates.Request{DNSNames: []string{"chat.example"}, Usage: x509.ExtKeyUsageServerAuth}, time.Now(), policy)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = pair.KeyPEM(); err != nil {
		t.Fatal(err)
	}
	return pair.CertPEM(), key
}

func TestAMissingSecretIsSaidAndHeals(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) {
		s.Listen.TLS = &wsproxyv1alpha1.ListenTLS{SecretName: "chat-tls"}
	})
	r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, wsproxyv1alpha1.ReasonSecretNotFound)
	r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionFalse, wsproxyv1alpha1.ReasonNotAttempted)
	r.missing(&appsv1.Deployment{}, "echo-wsproxy")

	cert, key := certificate(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "chat-tls"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key}}
	r.create(secret)
	r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, wsproxyv1alpha1.ReasonResolved)
	r.listens("echo", cert)
	exists[appsv1.Deployment](r, "echo-wsproxy")
	if got := exists[corev1.Service](r, "echo-wsproxy").Spec.Ports[0].Port; got != wsproxyv1alpha1.DefaultTLSPort {
		t.Errorf("port is %d", got)
	}

	// A renewed certificate is copied.
	next, nextKey := certificate(t)
	secret.Data = map[string][]byte{corev1.TLSCertKey: next, corev1.TLSPrivateKeyKey: nextKey}
	if err := r.api.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	r.listens("echo", next)

	// A broken one, or none, leaves the last good one in use, and everything else
	// goes on.
	secret.Data[corev1.TLSPrivateKeyKey] = key
	if err := r.api.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	c := r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, wsproxyv1alpha1.ReasonSecretInvalid)
	if !strings.Contains(c.Message, `spec.listen.tls.secretName: Secret "chat-tls"`) {
		t.Errorf("message is %q", c.Message)
	}
	if err := r.api.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	r.condition("echo", wsproxyv1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, wsproxyv1alpha1.ReasonSecretNotFound)
	r.listens("echo", next)
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	p := r.pod("echo", "echo-a")
	p.retries(7)
}

// listens waits until the pods of a proxy are given that certificate for clients.
func (r *room) listens(proxy string, cert []byte) {
	r.Helper()
	r.eventually(func() error {
		got := exists[corev1.Secret](r, proxy+"-wsproxy").Data[dataplanev1alpha1.FileListenCert]
		if !bytes.Equal(got, cert) {
			return fmt.Errorf("listen.crt is %q", got)
		}
		return nil
	})
}
