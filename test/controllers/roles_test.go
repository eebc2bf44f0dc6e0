// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
	"github.com/wsproxy/wsproxy/controllers/defaultclass"
	"github.com/wsproxy/wsproxy/controllers/objects"
)

// account returns the way to the API server of an operator that has the rights that a
// folder of config/ gives it, and no others. It is installed in the room, and where the
// folder says "default" means that other namespace.
func (r *room) account(folder, elsewhere string) *rest.Config {
	r.Helper()
	manifests, err := r.kubectl("", "kustomize", filepath.Join("..", "..", "config", folder))
	if err != nil {
		r.Fatalf("%v\n%s", err, manifests)
	}
	const operator = "wsproxy-operator"
	decoder, bindings := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096), 0
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			r.Fatal(err)
		}
		if o.GroupVersionKind().Group != rbacv1.GroupName || !strings.HasPrefix(o.GetName(), operator) {
			continue
		}
		here := map[string]string{"wsproxy-system": r.namespace, "default": elsewhere}
		if o.GetNamespace() != "" {
			o.SetNamespace(here[o.GetNamespace()])
		}
		if subjects, ok := o.Object["subjects"].([]any); ok {
			subjects[0].(map[string]any)["namespace"] = r.namespace
			bindings++
		}
		// It may see its own namespace and no other.
		rules, _ := o.Object["rules"].([]any)
		for _, rule := range rules {
			if names, ok := rule.(map[string]any)["resourceNames"].([]any); ok && names[0] == "wsproxy-system" {
				names[0] = r.namespace
			}
		}
		if err := r.api.Create(r.Context(), o); err != nil {
			r.Fatal(err)
		}
		r.Cleanup(func() {
			if err := r.api.Delete(context.Background(), o); err != nil {
				r.Error(err)
			}
		})
	}
	if bindings != 3 {
		r.Fatalf("config/%s has %d bindings of the operator", folder, bindings)
	}
	config := rest.CopyConfig(server.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + r.namespace + ":" + operator,
		Groups:   []string{"system:serviceaccounts", "system:authenticated"},
	}
	return config
}

func TestTheRolesOfTheOperatorAreEnough(t *testing.T) {
	r := newRoom(t)
	config := r.account("default", "")
	spec, err := defaultclass.Parse(`{}`)
	if err != nil {
		t.Fatal(err)
	}
	startOperatorAs(t, config, r.namespace, func(o *controllers.Options) { o.DefaultClass = spec })
	r.serving("echo", 1)
	r.apiService(apiservice.Service, 443)
	r.caBundle(exists[corev1.Secret](r, apiservice.SecretName).Data["ca.crt"])
	r.defaultClass("made, with one proxy", func(c *wsproxyv1alpha1.WebSocketProxyClass) bool {
		return c.Status.Default && c.Status.Proxies != nil && *c.Status.Proxies == 1
	})

	// And of the APIServices it sees no other.
	scheme, err := controllers.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	operator, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	other := apiservice.Object()
	if err := operator.Get(t.Context(), client.ObjectKey{Name: "v1.apps"}, other); !apierrors.IsForbidden(err) {
		t.Errorf("another APIService: %v", err)
	}
	// It may read a namespace whose pods end, but neither look around nor delete.
	if err := operator.List(t.Context(), &corev1.NamespaceList{}); !apierrors.IsForbidden(err) {
		t.Errorf("all namespaces: %v", err)
	}
	if err := operator.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); !apierrors.IsForbidden(err) {
		t.Errorf("delete a namespace: %v", err)
	}
	r.deleteNamespace()
	r.noAPIService()
}

func TestAnOperatorOfSomeNamespacesNeedsNoRightsInOthers(t *testing.T) {
	own, served, other := newRoom(t), newRoom(t), newRoom(t)
	config := own.account("namespaced", served.namespace)
	spec, err := defaultclass.Parse(`{}`)
	if err != nil {
		t.Fatal(err)
	}
	other.proxy("echo")
	// Its Secrets look like those of a proxy, from when this one served all namespaces.
	own.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "old-wsproxy", Labels: objects.Labels("old")}})
	at := func(ahead time.Duration) *operator {
		return startOperatorAs(t, config, own.namespace, func(o *controllers.Options) {
			o.DefaultClass, o.Watched = spec, []string{served.namespace}
			o.Now = func() time.Time { return time.Now().Add(ahead) }
		})
	}
	failures := reconciled(own, "websocketproxy", "error")
	const day = 24 * time.Hour
	first := at(-80 * day)
	served.serving("echo", 1)
	exists[networkingv1.NetworkPolicy](served, "echo-wsproxy")
	exists[corev1.ConfigMap](served, apiservice.TrustName)
	own.apiService(apiservice.Service, 443)
	own.caBundle(exists[corev1.Secret](own, apiservice.SecretName).Data["ca.crt"])
	own.defaultClass("counted by what is served", func(c *wsproxyv1alpha1.WebSocketProxyClass) bool {
		return c.Status.Proxies != nil && *c.Status.Proxies == 1
	})
	// Endpoints, Secrets and what is made of them come from the same namespace.
	served.backend()
	served.slice("10.0.0.7")
	served.patch(get[wsproxyv1alpha1.WebSocketProxy](served, "echo"), `{"spec":{"upstream":{"url":null,"serviceRef":{"name":"backend","port":80}}}}`)
	served.eventually(func() error {
		if snapshot := get[corev1.ConfigMap](served, "echo-wsproxy").Data[dataplanev1alpha1.SnapshotFile]; !strings.Contains(snapshot, "10.0.0.7") {
			return errors.New("the endpoint is not in the snapshot")
		}
		return nil
	})
	if p := get[wsproxyv1alpha1.WebSocketProxy](other, "echo"); p.Status.ObservedGeneration != 0 {
		t.Errorf("a proxy elsewhere was looked at: %+v", p.Status)
	}
	if n := reconciled(own, "websocketproxy", "error") - failures; n > 0 {
		t.Errorf("%v looks at proxies failed", n)
	}
	first.stop()
	// When the authority is replaced, it finds out who has the next one.
	at(200 * day)
	own.eventually(func() error {
		if secret := get[corev1.Secret](own, controllers.AuthoritySecret); len(secret.Data["next.distributed"]) == 0 {
			return errors.New("the operator does not know that everybody trusts the next authority")
		}
		return nil
	})
	own.deleteNamespace()
	own.noAPIService()
}
