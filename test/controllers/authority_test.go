// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
)

// corporate makes what cert-manager would write into its Secret, of an authority or of
// a server.
func corporate(t *testing.T, isCA bool) (data map[string][]byte, certificate *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "corporate"}, IsCA: isCA, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if certificate, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, raw []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}) }
	return map[string][]byte{
		corev1.TLSCertKey: block("CERTIFICATE", raw), corev1.TLSPrivateKeyKey: block("PRIVATE KEY", private), "ca.crt": block("CERTIFICATE", raw),
	}, certificate
}

// signed waits until everything that the operator issues is of that authority, and
// exactly these are trusted.
func (r *room) signed(by *x509.Certificate, trusted ...*x509.Certificate) {
	r.Helper()
	for name, key := range map[string]string{"echo-wsproxy": "tls.crt", apiservice.SecretName: "client.crt"} {
		r.eventually(func() error {
			secret := get[corev1.Secret](r, name)
			bundle := parseAll(r.T, secret.Data["ca.crt"])
			if len(bundle) != len(trusted) {
				return fmt.Errorf("%s: %d are trusted", name, len(bundle))
			}
			for i, c := range trusted {
				if !bundle[i].Equal(c) {
					return fmt.Errorf("%s: another one is trusted", name)
				}
			}
			return parseAll(r.T, secret.Data[key])[0].CheckSignatureFrom(by)
		})
	}
}

// warned waits for an event about the Secret that is followed.
func (r *room) warned(secret, text string) {
	r.Helper()
	r.eventually(func() error {
		var events eventsv1.EventList
		if err := r.api.List(r.Context(), &events, client.InNamespace(r.namespace)); err != nil {
			return err
		}
		for _, e := range events.Items {
			if e.Regarding.Kind == "Secret" && e.Regarding.Name == secret && e.Type == corev1.EventTypeWarning && strings.Contains(e.Note, text) {
				return nil
			}
		}
		return fmt.Errorf("no event says %q", text)
	})
}

func TestTheAuthorityMayBeSomebodyElses(t *testing.T) {
	r := newRoom(t)
	const name = "corporate"
	start := func(overlap time.Duration) *operator {
		return startOperator(t, r.namespace, func(o *controllers.Options) {
			o.AuthoritySecret, o.Certificates.Overlap = name, overlap
		})
	}
	o := start(time.Hour)
	ready := func(want string) {
		t.Helper()
		r.eventually(func() error {
			told := ""
			if err := o.authority.Problem(); err != nil {
				told = err.Error()
			}
			if (told == "") != (want == "") || !strings.Contains(told, want) {
				return fmt.Errorf("the problem is %q, want %q", told, want)
			}
			return nil
		})
	}
	// It comes after the operator, and is made wrongly at first.
	ready("does not exist")
	r.warned(name, "does not exist")
	p := r.proxy("echo", func(s *wsproxyv1alpha1.WebSocketProxySpec) { s.Replicas = new(int32(1)) })
	server, _ := corporate(t, false)
	r.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeTLS, Data: server})
	ready("isCA")
	r.warned(name, "isCA")
	if err := r.api.Get(t.Context(), client.ObjectKey{Namespace: r.namespace, Name: controllers.AuthoritySecret}, &corev1.Secret{}); err == nil {
		t.Error("the operator made an authority of its own")
	}

	replace := func(data map[string][]byte) {
		t.Helper()
		secret := get[corev1.Secret](r, name)
		secret.Data = data
		if err := r.api.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	data, first := corporate(t, true)
	replace(data)
	ready("")
	exists[corev1.Secret](r, "echo-wsproxy")
	exists[corev1.Secret](r, apiservice.SecretName)
	r.signed(first, first)
	pod := r.pod("echo", "echo-0")
	r.roll("echo")
	r.condition(p.Name, wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)

	// It is replaced. The first signs until all trust the second.
	data, second := corporate(t, true)
	replace(data)
	r.signed(first, first, second)
	r.eventually(func() error {
		if len(get[corev1.Secret](r, controllers.AuthoritySecret).Data["next.distributed"]) == 0 {
			return errors.New("the overlap does not begin")
		}
		return nil
	})
	// What is broken afterwards changes nothing, but is told.
	replace(server)
	ready("isCA")
	r.signed(first, first, second)
	o.stop()

	// After the overlap the second signs, and in the end it alone is trusted.
	o = start(time.Second)
	r.signed(second, second)
	ready("isCA")
	pod.server.Stop()
	pod.serve()
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	pod.retries(7)
}
