// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
	"github.com/wsproxy/wsproxy/controllers/certificates"
)

// parseAll returns every certificate of a PEM file.
func parseAll(t *testing.T, raw []byte) []*x509.Certificate {
	t.Helper()
	var all []*x509.Certificate
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func TestTheAuthorityIsReplacedWithoutLosingAPod(t *testing.T) {
	r := newRoom(t)
	policy := certificates.Policy{CAValidity: 365 * day, LeafValidity: 364 * day, Overlap: day, Skew: time.Minute}
	var ahead atomic.Int64 // how far the operator's clock is from the real one
	options := func(o *controllers.Options) {
		o.Certificates = policy
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	// The servers of the pods go by the real clock, so the authority is made in
	// the past and becomes due now.
	ahead.Store(-int64(300 * day))
	first := startOperator(t, r.namespace, options)
	p := r.serving("echo", 1)[0]
	old := parseAll(t, get[corev1.Secret](r, "echo-wsproxy").Data[dataplanev1alpha1.FileControlCA])
	if len(old) != 1 {
		t.Fatalf("%d authorities are trusted", len(old))
	}
	first.stop()

	// Two thirds of its life are over: the next authority is trusted beside it and
	// does not sign yet.
	ahead.Store(-int64(day) - int64(2*time.Hour))
	second := startOperator(t, r.namespace, options)
	r.eventually(func() error {
		both := parseAll(t, get[corev1.Secret](r, "echo-wsproxy").Data[dataplanev1alpha1.FileControlCA])
		if len(both) != 2 || !both[0].Equal(old[0]) {
			return fmt.Errorf("%d authorities are trusted", len(both))
		}
		return nil
	})
	leaf := parseAll(t, get[corev1.Secret](r, "echo-wsproxy").Data[dataplanev1alpha1.FileControlCert])[0]
	if err := leaf.CheckSignatureFrom(old[0]); err != nil {
		t.Errorf("the pods' certificate is not the old authority's: %v", err)
	}
	r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
	p.retries(7)
	// The overlap begins when everybody has it.
	r.eventually(func() error {
		if secret := get[corev1.Secret](r, controllers.AuthoritySecret); len(secret.Data["next.distributed"]) == 0 {
			return errors.New("the operator does not know that everybody trusts the next authority")
		}
		return nil
	})
	second.stop()

	// After the overlap it signs, and the old one is still trusted.
	ahead.Store(-int64(time.Hour))
	startOperator(t, r.namespace, options)
	r.eventually(func() error {
		secret := get[corev1.Secret](r, "echo-wsproxy")
		both := parseAll(t, secret.Data[dataplanev1alpha1.FileControlCA])
		leaf := parseAll(t, secret.Data[dataplanev1alpha1.FileControlCert])[0]
		if len(both) != 2 || both[0].Equal(old[0]) || !both[1].Equal(old[0]) {
			return fmt.Errorf("%d authorities are trusted", len(both))
		}
		return leaf.CheckSignatureFrom(both[0])
	})
	// A new connection, with the new certificates on both sides.
	p.server.Stop()
	p.serve()
	p.retries(7)
	r.condition("echo", wsproxyv1alpha1.ConditionReady, metav1.ConditionTrue, wsproxyv1alpha1.ReasonReady)
}

func TestTheNextAuthorityWaitsUntilEverybodyTrustsIt(t *testing.T) {
	policy := certificates.Policy{CAValidity: 365 * day, LeafValidity: 364 * day, Overlap: day, Skew: time.Minute}
	// Each makes one of those who must trust it lag, and returns how it catches up.
	for name, lag := range map[string]func(*room) func(){
		"the APIService": func(r *room) func() {
			r.apiService(apiservice.Service, 443)
			// With this there may be no caBundle, so that ours is refused.
			r.patch(apiservice.Object(), `{"spec":{"insecureSkipTLSVerify":true}}`)
			return func() {
				r.patch(apiservice.Object(), `{"spec":{"insecureSkipTLSVerify":false}}`)
			}
		},
		"the aggregated API server": func(r *room) func() { return r.unwritable(apiservice.SecretName) },
		"a backend":                 func(r *room) func() { return r.refusesUpdates(apiservice.TrustName) },
		"the pods of a proxy":       func(r *room) func() { return r.unwritable("echo-wsproxy") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			// at starts an operator at a time, from now.
			at := func(ahead time.Duration) *operator {
				return startOperator(t, r.namespace, func(o *controllers.Options) {
					o.Certificates = policy
					o.Now = func() time.Time { return time.Now().Add(ahead) }
				})
			}
			distributed := func() bool {
				return len(get[corev1.Secret](r, controllers.AuthoritySecret).Data["next.distributed"]) > 0
			}
			// signs complains unless the pods' certificate is of that authority.
			signs := func(authority *x509.Certificate) error {
				return parseAll(t, exists[corev1.Secret](r, "echo-wsproxy").Data["tls.crt"])[0].CheckSignatureFrom(authority)
			}
			first := at(-300 * day)
			r.proxy("echo")
			old := parseAll(t, exists[corev1.Secret](r, "echo-wsproxy").Data["ca.crt"])[0]
			exists[corev1.Secret](r, apiservice.SecretName)
			exists[corev1.ConfigMap](r, apiservice.TrustName)
			first.stop()
			catchUp := lag(r)

			// Days pass, and nobody signs with what not everybody trusts.
			for _, ahead := range []time.Duration{-50 * day, -40 * day} {
				o := at(ahead)
				for _, secret := range []string{apiservice.SecretName, "echo-wsproxy"} {
					r.eventually(func() error {
						s := get[corev1.Secret](r, secret)
						if n := len(parseAll(t, s.Data["ca.crt"])); n != 2 && s.Immutable == nil {
							return fmt.Errorf("%d authorities are trusted", n)
						}
						return nil
					})
				}
				// One look may have been under way before all others had it.
				before := reconciled(r, "certificate-authority")
				r.eventually(func() error {
					if n := reconciled(r, "certificate-authority") - before; n < 2 {
						return fmt.Errorf("the operator looked %v times who trusts the next authority", n)
					}
					return nil
				})
				o.stop()
				if err := signs(old); err != nil || distributed() {
					t.Fatalf("the next authority did not wait (%v)", err)
				}
			}

			// Once everybody has it, the overlap begins.
			catchUp()
			o := at(-39 * day)
			exists[corev1.Secret](r, "echo-wsproxy")
			r.eventually(func() error {
				if !distributed() {
					return errors.New("not distributed")
				}
				return nil
			})
			o.stop()
			if err := signs(old); err != nil {
				t.Fatalf("signed with before the overlap: %v", err)
			}
			at(-37 * day)
			r.eventually(func() error {
				current := parseAll(t, get[corev1.Secret](r, controllers.AuthoritySecret).Data["ca.crt"])[0]
				if current.Equal(old) {
					return errors.New("the old authority signs")
				}
				return signs(current)
			})
		})
	}
}

// unwritable keeps a Secret from being changed until the function that it returns
// is called: the API server refuses any change of data that is declared immutable.
func (r *room) unwritable(secret string) (writable func()) {
	r.Helper()
	r.patch(get[corev1.Secret](r, secret), `{"immutable":true}`)
	return func() {
		// This cannot be undone, but the Secret can be made again.
		if err := r.api.Delete(r.Context(), get[corev1.Secret](r, secret)); err != nil {
			r.Fatal(err)
		}
	}
}

// refusesUpdates has the API server refuse every change of a ConfigMap until the returned
// function was called. One that is immutable would not be waited for.
func (r *room) refusesUpdates(configMap string) (allow func()) {
	r.Helper()
	name := "refuse." + r.namespace
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				ResourceNames: []string{configMap},
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: fmt.Sprintf("request.namespace != %q", r.namespace)}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
	r.create(policy)
	r.create(binding)
	change := client.RawPatch(types.MergePatchType, []byte(`{"data":{"more":""}}`))
	// The API server learns of policies a moment later.
	until := func(refused bool) {
		r.Helper()
		r.eventually(func() error {
			err := r.api.Patch(r.Context(), get[corev1.ConfigMap](r, configMap), change, client.DryRunAll)
			if (err != nil) != refused {
				return errors.Join(err, fmt.Errorf("that changes of %s are refused is %v", configMap, !refused))
			}
			return nil
		})
	}
	until(true)
	return func() {
		r.Helper()
		r.delete(binding)
		r.delete(policy)
		until(false)
	}
}

func TestADeletedAuthorityIsWrittenAgain(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	before := exists[corev1.Secret](r, controllers.AuthoritySecret)
	if err := r.api.Delete(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	after := exists[corev1.Secret](r, controllers.AuthoritySecret)
	if after.UID == before.UID || !bytes.Equal(after.Data["ca.crt"], before.Data["ca.crt"]) || !bytes.Equal(after.Data["ca.key"], before.Data["ca.key"]) {
		t.Error("another authority took its place: every pod would be cut off")
	}
}
