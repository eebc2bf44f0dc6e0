// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

func TestADeletedProxyDrainsItsClientsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRoom(t, "e2e-deletion", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Drain.TimeoutSeconds = new(int32(5)) })
	clients := r.talk(p, 200)
	r.heard(clients, time.Minute)

	start := time.Now()
	mustKubectl(t, "", "-n", r.namespace, "delete", "wsp", p.Name)
	eventually(t, 2*time.Minute, "the clients to be closed", func(context.Context) error {
		if open := clients.Totals().Open; open > 0 {
			return fmt.Errorf("%d are open", open)
		}
		return nil
	})
	report := clients.Stop(t.Context())
	// New clients may come for five seconds; then the window begins, over which the
	// closes are spread.
	drained := report.Records[0].Closed
	for _, record := range report.Records {
		if record.Closed.After(drained) {
			drained = record.Closed
		}
	}
	t.Logf("the last client was closed %v after kubectl delete, with a drain window of 5 s", drained.Sub(start).Round(time.Millisecond))
	if took := drained.Sub(start); took < dataplanev1alpha1.AcceptWhileDraining {
		t.Errorf("every client was closed after %v, before the drain window began", took)
	}
	for _, record := range report.Records {
		if record.Code != 1012 {
			t.Errorf("client %s was closed with %d %q, want 1012", record.ID, record.Code, record.Reason)
		}
	}
	if err := report.CheckOpen(); !errors.Is(err, fleet.ErrClosed) {
		t.Errorf("the record says %v", err)
	}
	if n := others(report); n > 0 {
		t.Errorf("%d messages came twice, out of order or damaged", n)
	}

	eventually(t, 2*time.Minute, "nothing to be left", func(ctx context.Context) error {
		return errors.Join(r.leaves(ctx, p.Name), r.isMeasured(ctx))
	})
}

// isMeasured returns an error while the metrics of an operator speak of the room.
func (r *room) isMeasured(ctx context.Context) error {
	for _, pod := range r.part("operator") {
		page, err := scrape(ctx, fmt.Sprintf("http://%s:8080/metrics", pod.Status.PodIP))
		if err != nil {
			return err
		}
		for line := range strings.Lines(page) {
			if strings.Contains(line, r.namespace) {
				return fmt.Errorf("%s publishes %s", pod.Name, line)
			}
		}
	}
	return nil
}

// leaves returns an error while something is left of a proxy.
func (r *room) leaves(ctx context.Context, proxy string) error {
	var left []error
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &appsv1.ReplicaSetList{}, &corev1.PodList{}, &corev1.ServiceList{},
		&discoveryv1.EndpointSliceList{}, &corev1.ConfigMapList{}, &corev1.SecretList{},
		&corev1.ServiceAccountList{}, &policyv1.PodDisruptionBudgetList{},
	} {
		left = append(left, gone(ctx, r.Client, list, r.namespace, map[string]string{wsproxyv1alpha1.LabelProxy: proxy}))
	}
	return errors.Join(left...)
}
