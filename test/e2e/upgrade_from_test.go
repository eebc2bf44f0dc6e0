// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// hack/upgrade has installed another version, and says the tag of the images of this
// one. A new image of the data plane replaces the pods of every proxy, one after the
// other: their clients are told 1012. Those of a class that names its image stay.
func TestAnUpgradeFromAnotherVersion(t *testing.T) {
	tag := os.Getenv("UPGRADE_TO")
	if tag == "" {
		t.Skip("UPGRADE_TO is not set; see hack/upgrade")
	}
	r := newRoom(t, "e2e-upgrade-from", 1)
	// The cluster goes when the test ends.
	installation := readRelease(t, r.Client)
	pinned := &wsproxyv1alpha1.WebSocketProxyClass{
		ObjectMeta: metav1.ObjectMeta{Name: "pinned"},
		Spec:       wsproxyv1alpha1.WebSocketProxyClassSpec{Image: "localhost/wsproxy/dataplane:from"},
	}
	if err := r.Create(t.Context(), pinned); err != nil {
		t.Fatal(err)
	}
	moves := r.proxy("moves", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Drain.TimeoutSeconds = new(int32(10)) })
	stays := r.proxy("stays", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.ClassName = pinned.Name })
	whoStays := r.talk(stays, 250)
	pods := podUIDs(r.pods(stays.Name))

	for _, step := range []struct {
		name, image string
		take        func()
	}{
		{"helm upgrade", "localhost/wsproxy/dataplane:" + tag, func() { installation.install("--set", "image.tag="+tag) }},
		{"helm rollback", "localhost/wsproxy/dataplane:from", func() {
			installation.helm(t.Context(), "rollback", releaseName, "--wait", "--timeout=3m")
		}},
	} {
		t.Run(step.name, func(t *testing.T) {
			r := r.in(t)
			clients := r.talk(moves, 250)
			r.heard(clients, time.Minute)
			ends := r.follow(moves)
			before := map[string]map[string]int{}
			for _, component := range []string{"operator", "apiserver", "dataplane"} {
				before[component] = r.rolled(component, nil)
			}
			start := time.Now()
			step.take()
			r.runs(moves, step.image)
			eventually(t, 3*time.Minute, "the clients of the former pods to be told", func(context.Context) error {
				if open := clients.Totals().Open; open > 0 {
					return fmt.Errorf("%d are open", open)
				}
				return nil
			})
			t.Logf("%s: all of it after %v", step.name, time.Since(start).Round(time.Second))
			report := clients.Stop(t.Context())
			told := map[string]int{}
			for _, record := range report.Records {
				told[fmt.Sprintf("%d %q", record.Code, record.Reason)]++
				if record.Code != websocket.CloseServiceRestart {
					t.Errorf("client %s was closed with %d %q, want 1012", record.ID, record.Code, record.Reason)
				}
			}
			if n := others(report); n > 0 {
				t.Errorf("%d messages came twice, out of order or damaged", n)
			}
			t.Logf("the clients of moves were closed with %v; the pods say %v", told, ends())
			r.ready(moves)
			r.heard(whoStays, time.Minute)
			for _, component := range slices.Sorted(maps.Keys(before)) {
				t.Logf("pods of %s by image and whether they were there before: %v", component, r.rolled(component, before[component]))
			}
		})
	}
	if now := podUIDs(r.pods(stays.Name)); !maps.Equal(now, pods) {
		t.Errorf("the pods of the class that names its image were %v and are %v", pods, now)
	}
	unspoilt(t, whoStays)
}

// rolled counts the pods of a component in all namespaces by image, those that were
// there before apart. With none before, it returns them by name.
func (r *room) rolled(component string, before map[string]int) map[string]int {
	r.t.Helper()
	list := &corev1.PodList{}
	if err := r.List(r.t.Context(), list, client.MatchingLabels{"app.kubernetes.io/name": "wsproxy", "app.kubernetes.io/component": component}); err != nil {
		r.t.Fatal(err)
	}
	counts := map[string]int{}
	for _, pod := range list.Items {
		switch {
		case pod.DeletionTimestamp != nil:
		case before == nil:
			counts[string(pod.UID)]++
		case before[string(pod.UID)] > 0:
			counts["before "+pod.Spec.Containers[0].Image]++
		default:
			counts["new "+pod.Spec.Containers[0].Image]++
		}
	}
	return counts
}

// runs waits until all pods of a proxy have an image and are ready.
func (r *room) runs(p *wsproxyv1alpha1.WebSocketProxy, image string) {
	r.t.Helper()
	eventually(r.t, 3*time.Minute, "the pods to have image "+image, func(context.Context) error {
		pods := r.pods(p.Name)
		for _, pod := range pods {
			if now := pod.Spec.Containers[0].Image; now != image || !isReady(&pod) {
				return fmt.Errorf("%s has %s and is ready: %v", pod.Name, now, isReady(&pod))
			}
		}
		if len(pods) != 2 {
			return fmt.Errorf("there are %d", len(pods))
		}
		return nil
	})
}

// follow reads the logs of the pods that a proxy has now, until they end. The returned
// function waits for that, and counts the ends of connections by who and why.
func (r *room) follow(p *wsproxyv1alpha1.WebSocketProxy) (ends func() map[string]int) {
	r.t.Helper()
	var mu sync.Mutex
	var reading sync.WaitGroup
	counts := map[string]int{}
	for _, pod := range r.pods(p.Name) {
		logs := exec.CommandContext(r.t.Context(), "kubectl", "-n", pod.Namespace, "logs", "--follow", pod.Name)
		out, err := logs.StdoutPipe()
		if err == nil {
			err = logs.Start()
		}
		if err != nil {
			r.t.Fatal(err)
		}
		reading.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				var line struct{ By, Cause string }
				if json.Unmarshal(lines.Bytes(), &line) == nil && line.Cause != "" {
					mu.Lock()
					counts[strings.TrimSpace(line.By+" "+line.Cause)]++
					mu.Unlock()
				}
			}
			_ = logs.Wait()
		})
	}
	return func() map[string]int { reading.Wait(); return counts }
}
