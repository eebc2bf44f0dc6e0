// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

func TestUninstallingKeepsTheDataPlanesWhichALaterInstallationTakesOver(t *testing.T) {
	r := newRoom(t, "e2e-uninstall-keep", 1)
	installation := findRelease(t, r.Client)
	installation.install("--set", "crds.keep=true")
	p := r.proxy("echo", nil)
	clients := r.talk(p, 100)
	r.heard(clients, time.Minute)
	names, pods := held(t, clients), podUIDs(r.pods(p.Name))

	start := time.Now()
	installation.uninstall()
	r.controlPlaneGone(start)
	t.Run("the proxies stay", func(t *testing.T) {
		if out := mustKubectl(t, "", "-n", r.namespace, "get", "wsp", "-o", "name"); out != "websocketproxy.wsproxy.io/echo\n" {
			t.Errorf("kubectl get wsp lists %q", out)
		}
	})
	t.Run("their clients talk, and new ones are let in", func(t *testing.T) {
		r := r.in(t)
		r.heard(clients, time.Minute)
		r.serves(p)
	})
	t.Run("namespaces can be deleted", func(t *testing.T) {
		empty := "e2e-uninstall-empty"
		mustKubectl(t, "", "create", "namespace", empty)
		r.in(t).deletesQuickly(empty)
	})

	start = time.Now()
	installation.install("--set", "crds.keep=true")
	t.Logf("helm install took %v", time.Since(start).Round(time.Millisecond))
	r.takenOver(p, clients, names, pods)
	unspoilt(t, clients)
}

// takenOver fails unless an operator that was just installed brings a change to
// the pods of a proxy, which are the same as before, and its connections are seen.
func (r *room) takenOver(p *wsproxyv1alpha1.WebSocketProxy, clients *fleet.Fleet, names []string, pods map[string]types.UID) {
	r.t.Helper()
	start := time.Now()
	r.patch(p, `{"spec":{"settings":{"maxRetries":9}}}`)
	// Where the certificate authority is a new one, the kubelets bring it to the pods.
	// They look at each once a minute or so, and when it changes.
	var looked time.Time
	eventually(r.t, 3*time.Minute, "the operator to bring the pods a change", func(ctx context.Context) error {
		if time.Since(looked) > 2*time.Second {
			looked = time.Now()
			mustKubectl(r.t, "", "-n", r.namespace, "annotate", "--overwrite", "pods", "-l", wsproxyv1alpha1.LabelProxy+"="+p.Name, "example.com/looked="+looked.Format("150405"))
		}
		if err := r.Get(ctx, r.key(p.Name), p); err != nil {
			return err
		}
		if d := p.Status.Dataplane; int(d.Pods) != len(pods) || d.Programmed != d.Pods {
			return fmt.Errorf("%d of %d pods are programmed", d.Programmed, d.Pods)
		}
		return errors.Join(met(p, wsproxyv1alpha1.ConditionReady), met(p, wsproxyv1alpha1.ConditionProgrammed))
	})
	r.t.Logf("a change was in force %v after it was made", time.Since(start).Round(time.Millisecond))
	for _, pod := range r.pods(p.Name) {
		r.inForce(&pod, p.Status.Dataplane.ConfigVersion)
	}
	r.listsSoon(names)
	r.t.Logf("kubectl get wsc listed all %d connections after %v", len(names), time.Since(start).Round(time.Millisecond))
	if now := podUIDs(r.pods(p.Name)); !maps.Equal(now, pods) {
		r.t.Errorf("the pods were %v and are %v", pods, now)
	}
	r.heard(clients, time.Minute)
}

func TestUninstallingWithTheCRDsLeavesNothing(t *testing.T) {
	r := newRoom(t, "e2e-uninstall-all", 0)
	// An echo in the same namespace would be deleted with it, and say goodbye first.
	beside := newRoom(t, "e2e-uninstall-echo", 1)
	installation := findRelease(t, r.Client)
	installation.install("--set", "crds.keep=false")
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) {
		spec.Upstream = beside.upstream()
		spec.Drain.TimeoutSeconds = new(int32(window.Seconds()))
	})
	clients := r.talk(p, 100)
	r.heard(clients, time.Minute)

	start := time.Now()
	installation.uninstall()
	r.controlPlaneGone(start)
	eventually(t, 2*time.Minute, "the data planes to be gone", func(ctx context.Context) error { return r.leaves(ctx, p.Name) })
	t.Logf("the data planes were gone after %v", time.Since(start).Round(time.Millisecond))
	report := clients.Stop(t.Context())
	for _, record := range report.Records {
		if record.Code != 1012 {
			t.Errorf("client %s was closed with %d %q, want 1012", record.ID, record.Code, record.Reason)
		}
	}
	if n := others(report); n > 0 {
		t.Errorf("%d messages came twice, out of order or damaged", n)
	}
	eventually(t, time.Minute, "the cluster to have nothing of us", func(context.Context) error { return nothingOfUs(t) })
	t.Run("and the namespace of a proxy can be deleted", func(t *testing.T) { r.in(t).deletesQuickly(r.namespace) })
	t.Run("and that of wsproxy", func(t *testing.T) { r.in(t).deletesQuickly(operatorNamespace) })

	installation.install()
	again := newRoom(t, "e2e-uninstall-again", 1)
	again.serves(again.proxy("echo", nil))
}

// Who never heard of helm uninstall deletes the namespace.
func TestDeletingTheNamespaceOfWsproxyHarmsNobody(t *testing.T) {
	r := newRoom(t, "e2e-uninstall-namespace", 1)
	installation := findRelease(t, r.Client)
	p := r.proxy("echo", nil)
	clients := r.talk(p, 100)
	r.heard(clients, time.Minute)
	names, pods := held(t, clients), podUIDs(r.pods(p.Name))

	r.deletesQuickly(operatorNamespace)
	if err := noAPIService(t); err != nil {
		t.Error(err)
	}
	empty := "e2e-uninstall-empty"
	mustKubectl(t, "", "create", "namespace", empty)
	r.deletesQuickly(empty)
	r.heard(clients, time.Minute)

	// The certificate authority went with the namespace.
	installation.install()
	r.takenOver(p, clients, names, pods)
	unspoilt(t, clients)
}

// upstream is the echo of this room, for a proxy in another one.
func (r *room) upstream() wsproxyv1alpha1.Upstream {
	r.t.Helper()
	echo := &corev1.Service{}
	if err := r.Get(r.t.Context(), r.key(backendName), echo); err != nil {
		r.t.Fatal(err)
	}
	return wsproxyv1alpha1.Upstream{URL: fmt.Sprintf("ws://%s:%d", echo.Spec.ClusterIP, echo.Spec.Ports[0].Port)}
}

// controlPlaneGone waits until nothing of operator and API server is left.
func (r *room) controlPlaneGone(start time.Time) {
	r.t.Helper()
	eventually(r.t, 2*time.Minute, "operator and API server to be gone", func(ctx context.Context) error {
		if err := noAPIService(r.t); err != nil {
			return err
		}
		return gone(ctx, r.Client, &corev1.PodList{}, operatorNamespace, nil)
	})
	eventually(r.t, 2*time.Minute, "the Lease to be gone", func(ctx context.Context) error {
		err := r.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, &coordinationv1.Lease{})
		if err == nil {
			return errors.New("the next operator would wait until it has run out")
		}
		return client.IgnoreNotFound(err)
	})
	r.t.Logf("operator and API server were gone after %v", time.Since(start).Round(time.Millisecond))
}

// noAPIService returns an error while the aggregated API is registered.
func noAPIService(t *testing.T) error {
	out, err := kubectl(t, "", "get", "apiservice", "v1alpha1.connections.wsproxy.io", "-o", "name")
	if err == nil {
		return errors.New("there is an APIService")
	}
	if !strings.Contains(out, "(NotFound)") {
		return fmt.Errorf("the APIService: %w: %s", err, out)
	}
	return nil
}

// nothingOfUs returns an error while the cluster has something that is called or
// labelled as we are. What is documented to stay are two Secrets.
func nothingOfUs(t *testing.T) error {
	const kinds = "apiservices,crds,clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,deployments,replicasets,pods,services,endpointslices,poddisruptionbudgets,networkpolicies,configmaps,validatingadmissionpolicies,validatingadmissionpolicybindings,flowschemas"
	labelled, err := kubectl(t, "", "get", kinds, "--all-namespaces", "-l", "app.kubernetes.io/name=wsproxy", "-o", "name", "--ignore-not-found")
	if err != nil {
		return fmt.Errorf("labelled: %w: %s", err, labelled)
	}
	if labelled != "" {
		return errors.New("labelled: " + labelled)
	}
	called, err := kubectl(t, "", "get", kinds, "--all-namespaces", "-o", "name")
	if err != nil {
		return fmt.Errorf("called: %w: %s", err, called)
	}
	for line := range strings.Lines(called) {
		if strings.Contains(line, "wsproxy") {
			return errors.New("called: " + line)
		}
	}
	return nil
}

// deletesQuickly deletes a namespace as a user does, who waits.
func (r *room) deletesQuickly(namespace string) {
	r.t.Helper()
	start := time.Now()
	mustKubectl(r.t, "", "delete", "namespace", namespace, "--timeout=2m")
	if err := r.Get(r.t.Context(), client.ObjectKey{Name: namespace}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		r.t.Errorf("namespace %s: %v", namespace, err)
	}
	r.t.Logf("namespace %s was gone after %v", namespace, time.Since(start).Round(time.Millisecond))
}

// unspoilt stops the clients and fails unless every one stayed open and every
// message came back.
func unspoilt(t *testing.T, clients *fleet.Fleet) {
	t.Helper()
	report := clients.Stop(t.Context())
	if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
		t.Error(err)
	}
}

// serves fails unless new clients are let in by a proxy and are answered.
func (r *room) serves(p *wsproxyv1alpha1.WebSocketProxy) {
	r.t.Helper()
	clients := r.talk(p, 10)
	r.heard(clients, time.Minute)
	unspoilt(r.t, clients)
}
