// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
	"github.com/wsproxy/wsproxy/controllers/defaultclass"
)

// account returns the way to the API server of an operator that has the roles of
// config/rbac, bound in the room instead of wsproxy-system, and no other rights.
func (r *room) account() *rest.Config {
	r.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "rbac", "*role*.yaml"))
	if err != nil || len(files) != 4 {
		r.Fatalf("roles and bindings are %v: %v", files, err)
	}
	for _, file := range files {
		raw, err := os.Open(file)
		if err != nil {
			r.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := errors.Join(yaml.NewYAMLOrJSONDecoder(raw, 4096).Decode(o), raw.Close()); err != nil && !errors.Is(err, io.EOF) {
			r.Fatal(err)
		}
		if o.GetNamespace() != "" {
			o.SetNamespace(r.namespace)
		}
		if subjects, ok := o.Object["subjects"].([]any); ok {
			subjects[0].(map[string]any)["namespace"] = r.namespace
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
	config := rest.CopyConfig(server.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + r.namespace + ":wsproxy-operator",
		Groups:   []string{"system:serviceaccounts", "system:authenticated"},
	}
	return config
}

func TestTheRolesOfTheOperatorAreEnough(t *testing.T) {
	r := newRoom(t)
	config := r.account()
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
