// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
)

// apiService makes the APIService, as an installation does: it leads to that
// Service of the room and has no caBundle.
func (r *room) apiService(service string, port int64) {
	r.Helper()
	o := apiservice.Object()
	o.Object["spec"] = map[string]any{
		"group": "connections.wsproxy.io", "version": "v1alpha1",
		"groupPriorityMinimum": int64(1000), "versionPriority": int64(15),
		"service": map[string]any{"namespace": r.namespace, "name": service, "port": port},
	}
	if err := r.api.Create(r.Context(), o); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		// The next test has one of its own. An operator may have been quicker.
		if err := client.IgnoreNotFound(r.api.Delete(context.Background(), apiservice.Object())); err != nil {
			r.Error(err)
		}
	})
}

// readAPIService returns the APIService and its caBundle.
func readAPIService(ctx context.Context, c client.Reader) (*unstructured.Unstructured, []byte, error) {
	o := apiservice.Object()
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return nil, nil, err
	}
	text, _, err := unstructured.NestedString(o.Object, "spec", "caBundle")
	if err != nil {
		return nil, nil, err
	}
	bundle, err := base64.StdEncoding.DecodeString(text)
	return o, bundle, err
}

// caBundle waits until the APIService has that one.
func (r *room) caBundle(want []byte) *unstructured.Unstructured {
	r.Helper()
	var service *unstructured.Unstructured
	r.eventually(func() error {
		o, bundle, err := readAPIService(r.Context(), r.api)
		if err != nil {
			return err
		}
		if !bytes.Equal(bundle, want) {
			return fmt.Errorf("caBundle is %q, want %q", bundle, want)
		}
		service = o
		return nil
	})
	return service
}

func TestTheAPIServerHasCertificates(t *testing.T) {
	r := newRoom(t)
	o := startOperator(t, r.namespace)
	secret := exists[corev1.Secret](r, apiservice.SecretName)
	authority := exists[corev1.Secret](r, controllers.AuthoritySecret)
	if !bytes.Equal(secret.Data["ca.crt"], authority.Data["ca.crt"]) {
		t.Error("ca.crt is not the operator's authority")
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(secret.Data["ca.crt"])
	host := "wsproxy-apiserver." + r.namespace
	for _, c := range []struct {
		cert, key string
		names     []string
		usage     x509.ExtKeyUsage
	}{
		{"tls.crt", "tls.key", []string{host + ".svc", host, host + ".svc.cluster.local"}, x509.ExtKeyUsageServerAuth},
		{"client.crt", "client.key", []string{"apiserver.wsproxy.io"}, x509.ExtKeyUsageClientAuth},
	} {
		pair, err := tls.X509KeyPair(secret.Data[c.cert], secret.Data[c.key])
		if err != nil {
			t.Fatalf("%s: %v", c.cert, err)
		}
		for _, name := range c.names {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: trusted, KeyUsages: []x509.ExtKeyUsage{c.usage}}); err != nil {
				t.Errorf("%s as %s: %v", c.cert, name, err)
			}
		}
		if !slices.Equal(pair.Leaf.DNSNames, c.names) || len(pair.Leaf.IPAddresses)+len(pair.Leaf.URIs)+len(pair.Leaf.EmailAddresses) > 0 {
			t.Errorf("%s is for %v and more, want %v", c.cert, pair.Leaf.DNSNames, c.names)
		}
		if usage := pair.Leaf.ExtKeyUsage; !slices.Equal(usage, []x509.ExtKeyUsage{c.usage}) || len(pair.Leaf.UnknownExtKeyUsage) > 0 || pair.Leaf.IsCA {
			t.Errorf("%s is for the uses %v (authority: %t), want %v", c.cert, usage, pair.Leaf.IsCA, c.usage)
		}
	}
	if len(secret.Data) != 5 {
		t.Errorf("the Secret has %d keys", len(secret.Data))
	}

	// What somebody destroys is made again, and what is good is kept.
	r.patch(secret, `{"data":{"tls.key":"bm9uZQ==","extra":"bm9uZQ=="},"metadata":{"labels":null}}`)
	r.eventually(func() error {
		now := get[corev1.Secret](r, apiservice.SecretName)
		if !bytes.Equal(now.Data["client.crt"], secret.Data["client.crt"]) {
			t.Fatal("the client certificate was good and was replaced")
		}
		if _, err := tls.X509KeyPair(now.Data["tls.crt"], now.Data["tls.key"]); err != nil || len(now.Labels) == 0 {
			return fmt.Errorf("not repaired: labels %v, %w", now.Labels, err)
		}
		secret = now
		return nil
	})

	// An operator that comes back changes nothing. (It has looked when the proxy
	// has its certificate: both wait for the authority, and stopping waits for what
	// is under way.)
	o.stop()
	o = startOperator(t, r.namespace)
	r.proxy("echo")
	exists[corev1.Secret](r, "echo-wsproxy")
	o.stop()
	if now := get[corev1.Secret](r, apiservice.SecretName); now.ResourceVersion != secret.ResourceVersion {
		t.Errorf("written from %s to %s, though nothing had changed", secret.ResourceVersion, now.ResourceVersion)
	}
}

func TestTheAPIServiceHasTheAuthoritysBundle(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	want := exists[corev1.Secret](r, apiservice.SecretName).Data["ca.crt"]
	// It comes after the operator, as with kubectl apply.
	r.apiService(apiservice.Service, 443)
	service := r.caBundle(want)
	var fields string
	for _, m := range service.GetManagedFields() {
		if m.Manager == apiservice.FieldOwner {
			fields = m.FieldsV1.GetRawString()
		}
	}
	if fields != `{"f:spec":{"f:caBundle":{}}}` {
		t.Errorf("the operator owns %s", fields)
	}

	r.patch(service, `{"spec":{"caBundle":null}}`)
	r.caBundle(want)
	r.patch(service, `{"spec":{"caBundle":%q}}`, base64.StdEncoding.EncodeToString(bytes.Repeat(want, 2)))
	r.caBundle(want)
	if err := r.api.Delete(t.Context(), apiservice.Object()); err != nil {
		t.Fatal(err)
	}
	service = apiservice.Object()
	service.Object["spec"] = map[string]any{
		"group": "connections.wsproxy.io", "version": "v1alpha1",
		"groupPriorityMinimum": int64(2000), "versionPriority": int64(15),
		"service": map[string]any{"namespace": r.namespace, "name": apiservice.Service},
	}
	if err := r.api.Create(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	service = r.caBundle(want)
	if n, _, _ := unstructured.NestedInt64(service.Object, "spec", "groupPriorityMinimum"); n != 2000 {
		t.Errorf("groupPriorityMinimum is %d: more than the caBundle was written", n)
	}
}

// looked waits until a controller has looked at the APIService as it is now.
func looked(r *room, controller string) {
	r.Helper()
	// One look may have been under way; each change brings another.
	for i := range 2 {
		before := reconciled(r, controller)
		r.patch(apiservice.Object(), `{"metadata":{"annotations":{"look":"%d"}}}`, i)
		r.eventually(func() error {
			if reconciled(r, controller) == before {
				return fmt.Errorf("controller %s has not looked", controller)
			}
			return nil
		})
	}
}

// reconciled returns how often a controller has looked at something, over all
// operators of this process; with a result, how often with that.
func reconciled(r *room, controller string, result ...string) (n float64) {
	r.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		r.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != "controller_runtime_reconcile_total" {
				continue
			}
			is := map[string]string{}
			for _, l := range m.GetLabel() {
				is[l.GetName()] = l.GetValue()
			}
			if is["controller"] == controller && (len(result) == 0 || slices.Contains(result, is["result"])) {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func TestAnAPIServiceOfAnotherServiceIsLeftAlone(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	want := exists[corev1.Secret](r, apiservice.SecretName).Data["ca.crt"]
	r.apiService("another", 443)
	looked(r, "apiservice-ca")
	now, bundle, err := readAPIService(t.Context(), r.api)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range now.GetManagedFields() {
		if m.Manager == apiservice.FieldOwner {
			t.Errorf("the operator wrote to somebody else's APIService: %s", m.FieldsV1.GetRawString())
		}
	}
	if len(bundle) > 0 {
		t.Errorf("caBundle is %q", bundle)
	}
	// Now it is ours, then no longer; the caBundle is then the other's to set.
	r.patch(apiservice.Object(), `{"spec":{"service":{"name":%q}}}`, apiservice.Service)
	r.caBundle(want)
	r.patch(apiservice.Object(), `{"spec":{"service":{"name":"another"},"caBundle":null}}`)
	looked(r, "apiservice-ca")
	if _, bundle, err := readAPIService(t.Context(), r.api); err != nil || len(bundle) > 0 {
		t.Errorf("caBundle is %q: %v", bundle, err)
	}
}

func TestBackendsAreGivenTheAuthorityOfTheAPIServer(t *testing.T) {
	r := newRoom(t)
	o := startOperator(t, r.namespace)
	want := string(exists[corev1.Secret](r, apiservice.SecretName).Data["ca.crt"])
	// owned waits until the ConfigMap is as it should be and has these owners.
	owned := func(proxies ...client.Object) {
		t.Helper()
		r.eventually(func() error {
			c := exists[corev1.ConfigMap](r, apiservice.TrustName)
			if c.Data["ca.crt"] != want || len(c.Data) != 1 || len(c.OwnerReferences) != len(proxies) {
				return fmt.Errorf("it has %v of %v", c.Data, c.OwnerReferences)
			}
			for _, p := range proxies {
				// It would take all of them with it otherwise.
				if !slices.ContainsFunc(c.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == p.GetUID() && o.Controller == nil }) {
					return fmt.Errorf("%s is not among the owners %v", p.GetName(), c.OwnerReferences)
				}
			}
			return nil
		})
	}
	echo := r.proxy("echo")
	owned(echo)
	chat := r.proxy("chat")
	owned(echo, chat)
	r.patch(get[corev1.ConfigMap](r, apiservice.TrustName), `{"data":{"ca.crt":"somebody else's","more":"x"}}`)
	if err := r.api.Delete(t.Context(), echo); err != nil {
		t.Fatal(err)
	}
	r.eventually(func() error {
		if c := get[corev1.ConfigMap](r, apiservice.TrustName); c.Data["ca.crt"] != want {
			return errors.New("it has another authority")
		}
		return nil
	})
	// What is gone while nobody looks is there again when the next operator does.
	o.stop()
	if err := r.api.Delete(t.Context(), get[corev1.ConfigMap](r, apiservice.TrustName)); err != nil {
		t.Fatal(err)
	}
	startOperator(t, r.namespace)
	owned(chat)
}

func TestAConfigMapOfSomebodyElseIsLeftAlone(t *testing.T) {
	r := newRoom(t)
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: apiservice.TrustName}, Data: map[string]string{"ca.crt": "theirs"}}
	r.create(theirs)
	startOperator(t, r.namespace)
	exists[corev1.Secret](r, apiservice.SecretName)
	before := reconciled(r, "apiserver-trust")
	r.proxy("echo")
	r.eventually(func() error {
		if reconciled(r, "apiserver-trust") == before {
			return errors.New("nobody has looked")
		}
		return nil
	})
	if c := get[corev1.ConfigMap](r, apiservice.TrustName); c.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("it was written: %+v", c)
	}
}
