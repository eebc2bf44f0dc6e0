// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

func TestTheConnectionsOfAPodThatDiesAreGoneAndItsNamesNeverComeBack(t *testing.T) {
	r := newRoom(t, "e2e-death", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Replicas = new(int32(3)) })
	r.spread(p)
	clients := r.talk(p, 200)
	r.heard(clients, time.Minute)
	all, pods := held(t, clients), r.pods(p.Name)
	killed, deleted, survivor := pods[0], pods[1], pods[2]
	ofKilled, ofDeleted, stay := ofPod(all, &killed), ofPod(all, &deleted), ofPod(all, &survivor)
	if len(ofKilled) == 0 || len(ofDeleted) == 0 || len(stay) == 0 {
		t.Fatalf("the pods have %d, %d and %d connections", len(ofKilled), len(ofDeleted), len(stay))
	}
	others := slices.Sorted(slices.Values(slices.Concat(ofDeleted, stay)))

	t.Run("its process is killed", func(t *testing.T) {
		r := r.in(t)
		start := time.Now()
		kill(t, &killed)
		r.listsAfter(start, others)
		r.restarted(&killed)
		r.unknown(ofKilled[0])
	})
	var young []string
	t.Run("the same pod begins anew under another id", func(t *testing.T) {
		r := r.in(t)
		direct := r.connectTo(&killed, 10)
		young = held(t, direct)
		for _, name := range young {
			id, _, _ := dataplanev1alpha1.ParseName(name)
			before, _, _ := dataplanev1alpha1.ParseName(ofKilled[0])
			if id[:dataplanev1alpha1.PodPrefixLength] != before[:dataplanev1alpha1.PodPrefixLength] || id <= before {
				t.Errorf("the restarted container has the id %s, want one of the same pod and later than %s", id, before)
			}
		}
		r.lists(slices.Sorted(slices.Values(slices.Concat(young, others))))
		r.unknown(ofKilled[0])
		direct.Stop(t.Context())
		r.listsSoon(others)
	})
	t.Run("it is deleted by force", func(t *testing.T) {
		r := r.in(t)
		start := time.Now()
		if out := mustKubectl(t, "", "-n", r.namespace, "delete", "pod", deleted.Name, "--force", "--grace-period=0"); !strings.Contains(out, deleted.Name) {
			t.Error(out)
		}
		r.listsAfter(start, stay)
		r.unknown(ofDeleted[0])
	})
	t.Run("nobody else has noticed", func(t *testing.T) {
		r := r.in(t)
		dead := slices.Concat(ofKilled, ofDeleted)
		r.heard(clients, time.Minute, dead...)
		r.lists(stay)
		// The kubelet kills a pod that was deleted by force a second or two later.
		ends := map[int]int{}
		eventually(t, time.Minute, "the clients of the dead to be told", func(context.Context) error {
			clear(ends)
			for _, record := range clients.Report().Records {
				if record.Closed.IsZero() != slices.Contains(stay, record.ID) {
					return fmt.Errorf("client %s was closed with %d", record.ID, record.Code)
				}
				ends[record.Code]++
			}
			return nil
		})
		t.Logf("the clients have ended with these codes: %v", ends)
		for _, record := range clients.Stop(t.Context()).Records {
			if lost := record.Missing + record.Duplicated + record.OutOfOrder + record.Foreign; lost > 0 && slices.Contains(stay, record.ID) {
				t.Errorf("client %s has lost something: %+v", record.ID, record)
			}
		}
	})
}

// listsAfter waits until exactly these are listed, without a word about a pod
// that does not answer, and says how long that took.
func (r *room) listsAfter(start time.Time, want []string) {
	r.t.Helper()
	complaints := map[string]int{}
	eventually(r.t, 30*time.Second, "kubectl get wsc to list exactly the others", func(context.Context) error {
		names, rest := r.listed()
		if rest != "" {
			complaints[strings.TrimSpace(rest)]++
			return errors.New(rest)
		}
		return same(names, want)
	})
	r.t.Logf("exactly the others were listed after %v; before, the list said %v", time.Since(start).Round(time.Millisecond), complaints)
}

// unknown fails unless there is no such connection, for whoever asks.
func (r *room) unknown(name string) {
	r.t.Helper()
	got := administrator(r.t).must(r.t, http.MethodGet, connectionPath(r.namespace, name), "")
	got.refuses(r.t, http.StatusNotFound, metav1.StatusReasonNotFound, name)
}

// restarted waits until the container of a pod has been restarted since the pod
// was read, and is ready.
func (r *room) restarted(pod *corev1.Pod) {
	r.t.Helper()
	before := pod.Status.ContainerStatuses[0].RestartCount
	eventually(r.t, time.Minute, "the container to be back", func(ctx context.Context) error {
		if err := r.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		if status := pod.Status.ContainerStatuses[0]; status.RestartCount != before+1 || !status.Ready {
			return fmt.Errorf("it has restarted %d times, ready: %t", status.RestartCount-before, status.Ready)
		}
		return nil
	})
}

// connectTo opens connections to a pod, past the Service.
func (r *room) connectTo(pod *corev1.Pod, connections int) *fleet.Fleet {
	r.t.Helper()
	clients, err := fleet.Start(r.t.Context(), fleet.Options{
		URL: fmt.Sprintf("ws://%s:%d/", pod.Status.PodIP, dataplanev1alpha1.PortTraffic), Connections: connections, Rate: 1, Size: messageSize,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { clients.Stop(context.Background()) })
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	if err := clients.Opened(ctx); err != nil {
		r.t.Fatal(err)
	}
	return clients
}

func TestConnectionsAreSeenAndEndedWithoutTheOperator(t *testing.T) {
	r := newRoom(t, "e2e-connections-alone", 1)
	p := r.proxy("echo", nil)
	r.spread(p)
	clients := r.talk(p, 50)
	all, ended := held(t, clients), endings{}
	for _, pod := range r.part("operator") {
		kill(t, &pod)
	}
	r.lists(all)
	back := sendOperatorAway(t, r.Client)

	r.lists(all)
	r.lists(all, "-l", wsproxyv1alpha1.LabelProxy+"="+p.Name, "--chunk-size=20")
	if out := mustKubectl(t, "", "-n", r.namespace, "get", "wsc", all[1], "-o", "yaml"); !strings.Contains(out, "name: "+all[1]) {
		t.Error(out)
	}
	mustKubectl(t, "", "-n", r.namespace, "delete", "wsc", all[0])
	ended.add(byAdministrator, all[0])
	mustKubectl(t, `{"code":4001,"reason":"maintenance"}`, "create", "-f", "-", "--raw", connectionPath(r.namespace, all[1], "disconnect"))
	ended.add(end{4001, "maintenance"}, all[1])
	r.ends(clients, ended)

	late := r.talk(p, 10)
	r.listsSoon(slices.Sorted(slices.Values(slices.Concat(held(t, clients), held(t, late)))))
	rest := held(t, clients)
	if err := r.DeleteAllOf(t.Context(), &connectionsv1alpha1.WebSocketConnection{}, client.InNamespace(r.namespace), client.MatchingLabels{wsproxyv1alpha1.LabelPod: r.pods(p.Name)[0].Name}); err != nil {
		t.Fatal(err)
	}
	ended.add(byAdministrator, ofPod(rest, &r.pods(p.Name)[0])...)
	r.ends(clients, ended)
	r.listsSoon(slices.Sorted(slices.Values(slices.Concat(held(t, clients), ofPod(held(t, late), &r.pods(p.Name)[1])))))
	back()
}

// part returns the pods of a part of the installation that are not going
// away.
func (r *room) part(component string) []corev1.Pod {
	r.t.Helper()
	pods := &corev1.PodList{}
	if err := r.List(r.t.Context(), pods, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/component": component}); err != nil {
		r.t.Fatal(err)
	}
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}
