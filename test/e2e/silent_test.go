// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// answerWithin is far more than the three seconds for which the aggregated API
// server waits for a pod, and far less than the minute after which the
// kube-apiserver gives up on a request.
const answerWithin = 20 * time.Second

func TestAListSaysWhichPodIsSilentAndItsClientsNoticeNothing(t *testing.T) {
	r := newRoom(t, "e2e-silent", 1)
	p := r.proxy("echo", nil)
	r.spread(p)
	clients := r.talk(p, 200)
	r.heard(clients, time.Minute)
	all, pods := held(t, clients), r.pods(p.Name)
	silent, other := pods[0], pods[1]
	missing, present := ofPod(all, &silent), ofPod(all, &other)
	if len(missing) == 0 || len(present) == 0 || len(missing)+len(present) != len(all) {
		t.Fatalf("the pods have %d and %d of %d connections", len(missing), len(present), len(all))
	}

	goOn := stop(t, &silent)
	begin := time.Now()
	t.Run("kubectl lists the others and warns", func(t *testing.T) {
		start := time.Now()
		names, rest := r.in(t).listed()
		intime(t, start, "kubectl get wsc")
		if err := same(names, present); err != nil {
			t.Error(err)
		}
		if want := "Warning: 1 data-plane pod did not answer, its connections are missing: " + r.namespace + "/" + silent.Name; strings.TrimSpace(rest) != want {
			t.Errorf("kubectl says %q, want %q", rest, want)
		}
	})
	t.Run("the list carries the warning and names the pod", func(t *testing.T) {
		list, header := administrator(t).lists(t, connectionPath(r.namespace))
		if err := same(namesOf(list), present); err != nil {
			t.Error(err)
		}
		want := r.namespace + "/" + silent.Name
		if got := list.Annotations[connectionsv1alpha1.AnnotationUnansweredPods]; got != want {
			t.Errorf("the annotation names %q, want %q", got, want)
		}
		if warning := header.Get("Warning"); !strings.HasPrefix(warning, "299 ") || !strings.Contains(warning, want) {
			t.Errorf("the Warning is %q", warning)
		}
	})
	t.Run("one of its connections is neither there nor gone", func(t *testing.T) {
		// Nobody knows whether a pod that goes on will still read what it was asked,
		// so it is asked for nothing that would be noticed.
		for method, query := range map[string]string{http.MethodGet: "", http.MethodDelete: "?dryRun=All"} {
			start := time.Now()
			got := administrator(t).must(t, method, connectionPath(r.namespace, missing[0])+query, "")
			intime(t, start, method)
			got.refuses(t, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, silent.Name)
			if got.header.Get("Retry-After") == "" {
				t.Errorf("%s is answered without a Retry-After", method)
			}
		}
	})
	t.Run("who does not ask it does not wait for it", func(t *testing.T) {
		r := r.in(t)
		if out := mustKubectl(t, "", "-n", r.namespace, "get", "wsc", present[0], "-o", "name"); !strings.Contains(out, present[0]) {
			t.Error(out)
		}
		r.lists(present, "-l", wsproxyv1alpha1.LabelPod+"="+other.Name)
	})
	goOn()
	t.Logf("the pod was stopped for %v", time.Since(begin).Round(time.Millisecond))

	t.Run("afterwards everything is listed and nobody was lost", func(t *testing.T) {
		r := r.in(t)
		r.listsSoon(all)
		r.lists(all)
		r.heard(clients, time.Minute)
		report := clients.Stop(t.Context())
		t.Logf("the longest wait for an answer was %v", report.Totals.Longest.Round(time.Millisecond))
		if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
			t.Error(err)
		}
	})
}

func TestAPIResourcesAsksNoPodAndWatchesEndWhereNoPodAnswers(t *testing.T) {
	r := newRoom(t, "e2e-discovery", 1)
	r.proxy("echo", nil)
	pods := r.everyDataPlanePod()
	watched := administrator(t).begins(t, r.namespace)
	before := quickest(t)
	var silent []string
	for _, pod := range pods {
		stop(t, &pod)
		silent = append(silent, pod.Namespace+"/"+pod.Name)
	}
	stopped := time.Now()
	after := quickest(t)
	watched.expires(t)
	intime(t, stopped, "the end of a watch of a pod that says nothing")
	for query, code := range map[string]int{fromScratch: http.StatusServiceUnavailable, "watch=1&resourceVersion=" + watched.version: http.StatusGone} {
		start := time.Now()
		got := administrator(t).must(t, http.MethodGet, connectionPath(r.namespace)+"?"+query, "")
		intime(t, start, "a watch of a pod that says nothing")
		if got.code != code {
			t.Errorf("?%s is answered with %d, want %d: %s", query, got.code, code, got.body)
		}
	}
	list, _ := administrator(t).lists(t, "/apis/"+connectionsv1alpha1.GroupVersion.String()+"/"+connectionsv1alpha1.ResourceConnections)
	named := strings.Split(list.Annotations[connectionsv1alpha1.AnnotationUnansweredPods], ",")
	for _, pod := range silent {
		if !slices.Contains(named, pod) {
			t.Errorf("pod %s was stopped, and only %v do not answer", pod, named)
		}
	}
	t.Logf("kubectl api-resources took %v, and %v while %d data-plane pods, all there are, were stopped", before, after, len(silent))
	// A machine on which it takes long when all is well may take as long now.
	if after > max(time.Second, 3*before) {
		t.Errorf("kubectl api-resources took %v while no pod answered, and %v before", after, before)
	}
}

// everyDataPlanePod returns the data-plane pods of the cluster, but for those of
// namespaces that are being deleted.
func (r *room) everyDataPlanePod() []corev1.Pod {
	r.t.Helper()
	namespaces, pods := &corev1.NamespaceList{}, &corev1.PodList{}
	if err := errors.Join(r.List(r.t.Context(), namespaces), r.List(r.t.Context(), pods, client.HasLabels{wsproxyv1alpha1.LabelProxy})); err != nil {
		r.t.Fatal(err)
	}
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool {
		return pod.DeletionTimestamp != nil || slices.ContainsFunc(namespaces.Items, func(n corev1.Namespace) bool {
			return n.Name == pod.Namespace && n.DeletionTimestamp != nil
		})
	})
}

// quickest returns the least time, of a few, that kubectl takes for
// api-resources with nothing in its cache.
func quickest(t *testing.T) time.Duration {
	t.Helper()
	least := time.Duration(0)
	for range 5 {
		start := time.Now()
		out := mustKubectl(t, "", "api-resources", "--cache-dir="+t.TempDir())
		took := time.Since(start).Round(time.Millisecond)
		if !strings.Contains(out, "websocketconnections") || strings.Contains(strings.ToLower(out), "error") {
			t.Fatalf("kubectl api-resources:\n%s", out)
		}
		if least == 0 || took < least {
			least = took
		}
	}
	return least
}

// stop stops the process of a pod: its sockets stay open, and nothing answers.
// It returns what lets it go on; the end of the test does so in any case. The
// kubelet kills a container whose liveness probe has failed for a minute.
func stop(t *testing.T, pod *corev1.Pod) (goOn func()) {
	t.Helper()
	if err := signal(t, pod, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = signal(t, pod, syscall.SIGCONT) })
	return func() {
		t.Helper()
		if err := signal(t, pod, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}
}

// spread waits until the Service of a proxy leads to each of its pods: a pod is
// ready a moment before kube-proxy sends anybody there.
func (r *room) spread(p *wsproxyv1alpha1.WebSocketProxy) {
	r.t.Helper()
	pods := len(r.pods(p.Name))
	eventually(r.t, 30*time.Second, "the Service to lead to each pod", func(ctx context.Context) error {
		clients, err := fleet.Start(ctx, fleet.Options{URL: r.url(p), Connections: 8 * pods})
		if err != nil {
			return err
		}
		err = clients.Opened(ctx)
		if reached := clients.Stop(ctx).Pods; err == nil && len(reached) != pods {
			err = fmt.Errorf("it leads to %v, want %d pods", reached, pods)
		}
		return err
	})
}

// ofPod returns the names of the connections of a pod.
func ofPod(names []string, pod *corev1.Pod) []string {
	prefix := dataplanev1alpha1.PodPrefix(string(pod.UID))
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

func namesOf(list *connectionsv1alpha1.WebSocketConnectionList) []string {
	names := make([]string, 0, len(list.Items))
	for _, c := range list.Items {
		names = append(names, c.Name)
	}
	return names
}

// administrator is somebody who asks once: kubectl and client-go ask again where
// the answer has a Retry-After.
func administrator(t *testing.T) *account {
	t.Helper()
	cluster, err := config.GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	once, err := rest.HTTPClientFor(cluster)
	if err != nil {
		t.Fatal(err)
	}
	return &account{url: cluster.Host, client: once}
}

// lists is what a path of connections is answered with.
func (a *account) lists(t *testing.T, path string) (*connectionsv1alpha1.WebSocketConnectionList, http.Header) {
	t.Helper()
	start := time.Now()
	got := a.must(t, http.MethodGet, path, "")
	intime(t, start, "GET "+path)
	list := &connectionsv1alpha1.WebSocketConnectionList{}
	if err := json.Unmarshal(got.body, list); err != nil || got.code != http.StatusOK || list.Kind != "WebSocketConnectionList" {
		t.Fatalf("GET %s is answered with %d %v, want a list: %s", path, got.code, err, got.body)
	}
	return list, got.header
}

// intime fails when an answer took too long.
func intime(t *testing.T, start time.Time, what string) {
	t.Helper()
	took := time.Since(start)
	t.Logf("%s took %v", what, took.Round(time.Millisecond))
	if took > answerWithin {
		t.Errorf("%s took %v, want at most %v", what, took, answerWithin)
	}
}
