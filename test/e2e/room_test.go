// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// backendName is the Deployment and the Service of a room's echo.
const backendName = "echo-backend"

// messageSize is how many bytes each message of the clients has.
const messageSize = 64

// room is a namespace for one test, with an echo behind a proxy.
type room struct {
	client.Client
	t         *testing.T
	namespace string
}

// newRoom makes the namespace and the echo. The end of the test removes them
// with everything in them.
func newRoom(t *testing.T, namespace string, backends int32) *room {
	t.Helper()
	r := &room{Client: connect(t), t: t, namespace: namespace}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := r.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// t.Context ends before the cleanup.
		if err := client.IgnoreNotFound(r.Delete(context.Background(), ns)); err != nil {
			t.Error(err)
		}
	})
	eventually(t, 30*time.Second, "the default ServiceAccount", func(ctx context.Context) error {
		return r.Get(ctx, r.key("default"), &corev1.ServiceAccount{})
	})
	labels := map[string]string{"app": backendName}
	for _, o := range []client.Object{
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: backendName},
			Spec: appsv1.DeploymentSpec{
				Replicas: &backends,
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec: corev1.PodSpec{Containers: []corev1.Container{{
						Name:            "echo",
						Image:           "localhost/wsproxy/echo:dev",
						ImagePullPolicy: corev1.PullIfNotPresent,
						Ports:           []corev1.ContainerPort{{ContainerPort: 8080}},
						// For kill, which finds the process by it.
						Env: []corev1.EnvVar{{Name: dataplanev1alpha1.EnvPodUID, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.uid"}}}},
						ReadinessProbe: &corev1.Probe{
							PeriodSeconds: 1,
							ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}},
						},
					}}},
				},
			},
		},
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: backendName},
			Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}},
		},
	} {
		if err := r.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, "the backends", func(context.Context) error { return r.backendsReady(int(backends), nil) })
	return r
}

// backendsReady returns an error unless so many backends are ready, not counting
// those in except.
func (r *room) backendsReady(wanted int, except map[string]types.UID) error {
	ready := 0
	for _, pod := range r.backends() {
		if except[pod.Name] != pod.UID && isReady(&pod) {
			ready++
		}
	}
	if ready != wanted {
		return fmt.Errorf("%d of %d are ready", ready, wanted)
	}
	return nil
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (r *room) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: r.namespace, Name: name}
}

// proxy creates a proxy in front of the echo and waits until it is ready. The
// drain is short, so that removing the room is.
func (r *room) proxy(name string, change func(*wsproxyv1alpha1.WebSocketProxySpec)) *wsproxyv1alpha1.WebSocketProxy {
	r.t.Helper()
	p := &wsproxyv1alpha1.WebSocketProxy{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name},
		Spec: wsproxyv1alpha1.WebSocketProxySpec{
			Upstream: wsproxyv1alpha1.Upstream{ServiceRef: &wsproxyv1alpha1.ServiceReference{Name: backendName, Port: 80}},
			Drain:    wsproxyv1alpha1.Drain{TimeoutSeconds: new(int32(1))},
		},
	}
	if change != nil {
		change(&p.Spec)
	}
	if err := r.Create(r.t.Context(), p); err != nil {
		r.t.Fatal(err)
	}
	r.ready(p)
	return p
}

// ready waits until the status speaks of the current spec and says Ready and
// Programmed, and reads it into p.
func (r *room) ready(p *wsproxyv1alpha1.WebSocketProxy) {
	r.t.Helper()
	eventually(r.t, 60*time.Second, "proxy "+p.Name+" to be ready", func(ctx context.Context) error {
		if err := r.Get(ctx, r.key(p.Name), p); err != nil {
			return err
		}
		return errors.Join(met(p, wsproxyv1alpha1.ConditionReady), met(p, wsproxyv1alpha1.ConditionProgrammed))
	})
}

// met returns an error unless the condition is true for the current spec.
func met(p *wsproxyv1alpha1.WebSocketProxy, condition string) error {
	c := apimeta.FindStatusCondition(p.Status.Conditions, condition)
	switch {
	case c == nil:
		return fmt.Errorf("there is no condition %s", condition)
	case c.Status != metav1.ConditionTrue:
		return fmt.Errorf("%s is %s: %s: %s", condition, c.Status, c.Reason, c.Message)
	case c.ObservedGeneration != p.Generation:
		return fmt.Errorf("%s speaks of generation %d, not of %d", condition, c.ObservedGeneration, p.Generation)
	}
	return nil
}

// programmed waits until every pod has acknowledged what the ConfigMap says
// now, and returns the version.
func (r *room) programmed(p *wsproxyv1alpha1.WebSocketProxy) string {
	r.t.Helper()
	eventually(r.t, 60*time.Second, "proxy "+p.Name+" to be programmed", func(ctx context.Context) error {
		if err := r.Get(ctx, r.key(p.Name), p); err != nil {
			return err
		}
		d := p.Status.Dataplane
		if d.Pods == 0 || d.Programmed != d.Pods {
			return fmt.Errorf("%d of %d pods are programmed", d.Programmed, d.Pods)
		}
		return met(p, wsproxyv1alpha1.ConditionProgrammed)
	})
	return p.Status.Dataplane.ConfigVersion
}

// patch changes a proxy as `kubectl patch --type merge` does.
func (r *room) patch(p *wsproxyv1alpha1.WebSocketProxy, merge string) {
	r.t.Helper()
	if err := r.Patch(r.t.Context(), p, client.RawPatch("application/merge-patch+json", []byte(merge))); err != nil {
		r.t.Fatal(err)
	}
}

// url returns where clients reach a proxy: what the status says, with the
// address of the Service for its name, because the test's cluster has no DNS.
func (r *room) url(p *wsproxyv1alpha1.WebSocketProxy) string {
	r.t.Helper()
	u, err := url.Parse(p.Status.Address)
	if err != nil {
		r.t.Fatal(err)
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	service := &corev1.Service{}
	if err := r.Get(r.t.Context(), r.key(name), service); err != nil {
		r.t.Fatalf("the Service of status.address %s: %v", p.Status.Address, err)
	}
	u.Host = service.Spec.ClusterIP + ":" + u.Port()
	return u.String()
}

// pods returns the pods of a proxy that are not going away.
func (r *room) pods(proxy string) []corev1.Pod {
	r.t.Helper()
	return r.podsWith(map[string]string{wsproxyv1alpha1.LabelProxy: proxy})
}

func (r *room) backends() []corev1.Pod {
	r.t.Helper()
	return r.podsWith(map[string]string{"app": backendName})
}

func (r *room) podsWith(labels map[string]string) []corev1.Pod {
	r.t.Helper()
	list := &corev1.PodList{}
	if err := r.List(r.t.Context(), list, client.InNamespace(r.namespace), client.MatchingLabels(labels)); err != nil {
		r.t.Fatal(err)
	}
	var pods []corev1.Pod
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			pods = append(pods, pod)
		}
	}
	return pods
}

// metric returns a value that a pod publishes.
func metric(ctx context.Context, pod *corev1.Pod, name string) (string, error) {
	page, err := scrape(ctx, fmt.Sprintf("http://%s:%d/metrics", pod.Status.PodIP, dataplanev1alpha1.PortMetrics))
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `(?:\{[^}]*\})? (\S+)$`).FindStringSubmatch(page)
	if found == nil {
		return "", fmt.Errorf("pod %s publishes no %s", pod.Name, name)
	}
	return found[1], nil
}

// reachable waits until the Service leads to a pod: a proxy is ready when its
// pods are, and kube-proxy needs up to a second more to learn of it.
func (r *room) reachable(address string) {
	r.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, 30*time.Second, address+" to be reachable", func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// talk lets clients say something once a second through a proxy.
func (r *room) talk(p *wsproxyv1alpha1.WebSocketProxy, connections int) *fleet.Fleet {
	r.t.Helper()
	return r.connect(p, connections, 1)
}

// connect opens connections through a proxy, on which clients talk at a rate per
// second, and waits until all are open.
func (r *room) connect(p *wsproxyv1alpha1.WebSocketProxy, connections int, rate float64) *fleet.Fleet {
	r.t.Helper()
	return r.connectWith(p, fleet.Options{Connections: connections, Rate: rate})
}

// connectWith is connect with more to say. options.URL is the path, which may be
// empty, with a query.
func (r *room) connectWith(p *wsproxyv1alpha1.WebSocketProxy, options fleet.Options) *fleet.Fleet {
	r.t.Helper()
	options.URL = r.url(p) + options.URL
	options.Size = messageSize
	options.Ramp = time.Duration(options.Connections) * 5 * time.Millisecond
	r.reachable(options.URL)
	clients, err := fleet.Start(r.t.Context(), options)
	if err != nil {
		r.t.Fatal(err)
	}
	// A failed test must leave no client behind; a second Stop does no harm.
	r.t.Cleanup(func() {
		at := clients.Totals()
		clients.Stop(context.Background())
		if r.t.Failed() {
			r.t.Logf("the clients: %v", at)
		}
	})
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	if err := clients.Opened(ctx); err != nil {
		r.t.Fatal(err)
	}
	return clients
}

// heard waits until every client, but for the connections that are known to have
// ended, has received an answer to something that it said after now.
func (r *room) heard(clients *fleet.Fleet, within time.Duration, ended ...string) {
	r.t.Helper()
	before := clients.Report().Records
	eventually(r.t, within, "every client to be answered", func(context.Context) error {
		waiting, example := 0, fleet.Record{}
		for i, record := range clients.Report().Records {
			if slices.Contains(ended, record.ID) {
				continue
			}
			// What is no longer outstanding was answered, or overtaken by an answer.
			if record.Sent-record.Outstanding <= before[i].Sent {
				waiting, example = waiting+1, record
			}
		}
		if waiting > 0 {
			return fmt.Errorf("%d clients are not; one of them: %+v", waiting, example)
		}
		return nil
	})
}

// gone returns an error while an object of the list's kind carries the labels.
func gone(ctx context.Context, c client.Client, list client.ObjectList, namespace string, labels map[string]string) error {
	err := c.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels(labels))
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if n := apimeta.LenList(list); n > 0 {
		return fmt.Errorf("%d of %T are left", n, list)
	}
	return nil
}
