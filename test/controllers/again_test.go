// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsproxy/wsproxy/controllers/apiservice"
)

// system is the namespace of the installation in config/.
const system = "wsproxy-system"

// objects are what a folder of config/ is made of, without the CRDs and the namespace,
// which are there.
func (r *room) objects(folder string) (all []*unstructured.Unstructured) {
	r.Helper()
	out, err := r.kubectl("", "kustomize", filepath.Join("..", "..", "config", folder))
	if err != nil {
		r.Fatalf("%v\n%s", err, out)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(out), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			r.Fatal(err)
		}
		if o.GetKind() != "CustomResourceDefinition" && o.GetKind() != "Namespace" {
			all = append(all, o)
		}
	}
}

// stored returns the resourceVersions of objects, and of all that is in the room.
func (r *room) stored(objects []*unstructured.Unstructured, proxies ...string) map[string]string {
	r.Helper()
	versions := map[string]string{}
	for _, o := range objects {
		found := o.DeepCopy()
		if err := r.api.Get(r.Context(), client.ObjectKeyFromObject(o), found); err != nil {
			r.Fatal(err)
		}
		versions[o.GetKind()+" "+o.GetName()] = found.GetResourceVersion()
	}
	for _, proxy := range proxies {
		maps.Copy(versions, r.versions(proxy))
	}
	return versions
}

// A GitOps tool applies the same again and again. Nothing of it may change what the
// operator made of it, or wrote beside it.
func TestApplyingTheSameAgainChangesNothing(t *testing.T) {
	r := newRoom(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}}
	if err := r.api.Create(t.Context(), namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	r.namespace = system
	used := r.objects("samples")
	for _, o := range used {
		if o.GetKind() != "WebSocketProxyClass" {
			o.SetNamespace(system)
		}
	}
	all := append(r.objects("default"), used...)
	var manifests strings.Builder
	for _, o := range all {
		raw, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&manifests, "---\n%s\n", raw)
	}
	t.Cleanup(func() {
		for _, o := range all {
			if err := client.IgnoreNotFound(r.api.Delete(context.Background(), o)); err != nil {
				t.Error(err)
			}
		}
	})
	kubectl := func(verb string, arguments ...string) {
		t.Helper()
		// Of several namespaces.
		if out, err := r.kubectl(manifests.String(), append([]string{verb, "--filename=-", "--namespace="}, arguments...)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	apply := func(arguments ...string) { t.Helper(); kubectl("apply", arguments...) }
	apply()
	startOperator(t, system)
	exists[corev1.Secret](r, "echo-wsproxy")
	for i := range 2 {
		r.pod("echo", fmt.Sprintf("echo-%d", i))
	}
	r.roll("echo")
	r.quiet()
	r.caBundle(exists[corev1.Secret](r, apiservice.SecretName).Data["ca.crt"])

	// What the API server writes into a status by itself comes once; what an apply
	// changes, it changes each time.
	again := func(how string, arguments ...string) {
		t.Helper()
		r.eventually(func() error {
			before := r.stored(all, "echo")
			apply(arguments...)
			r.quiet()
			var changed []error
			for name, version := range r.stored(all, "echo") {
				if before[name] != version {
					changed = append(changed, fmt.Errorf("%s: %s was %s and is %s", how, name, before[name], version))
				}
			}
			return errors.Join(changed...)
		})
	}
	again("kubectl apply")
	// A tool of its own name takes over what kubectl applied; from then on it is the same.
	server := []string{"--server-side", "--force-conflicts", "--field-manager=argocd-controller"}
	apply(server...)
	again("server-side apply", server...)
	// And nobody finds a difference between what is in Git and what there is.
	kubectl("diff")
	kubectl("diff", server...)
}
