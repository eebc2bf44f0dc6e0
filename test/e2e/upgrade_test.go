// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// enforced is the label of a namespace in which no pod may be that is not restricted.
const enforced = "pod-security.kubernetes.io/enforce"

// Whoever changes the release replaces operator and apiserver at most; who is connected
// does not notice.
func TestUpgradesAndRollbacksOfTheReleaseCloseNoConnection(t *testing.T) {
	r := newRoom(t, "e2e-upgrade", 1)
	installation := findRelease(t, r.Client)
	mustKubectl(t, "", "label", "namespace", operatorNamespace, enforced+"=restricted", "--overwrite")
	p := r.proxy("echo", nil)
	clients := r.talk(p, 500)
	r.heard(clients, time.Minute)
	pods, retries := podUIDs(r.pods(p.Name)), p.Status.EffectiveSettings.MaxRetries.Value

	t.Run("to the same", func(t *testing.T) {
		// What was restarted before may still be settling.
		eventually(t, 2*time.Minute, "an upgrade to write nothing", func(context.Context) error {
			before := installation.versions()
			installation.helm(t.Context(), "upgrade", releaseName, chartDir, "--reset-values", "--values", installation.values, "--wait")
			if after := installation.versions(); after != before {
				return fmt.Errorf("it wrote: %s\nbecame %s", before, after)
			}
			return nil
		})
	})
	t.Run("with other settings", func(t *testing.T) {
		r := r.in(t)
		operators, apiservers := r.component("operator"), r.component("apiserver")
		installation.install("--set", fmt.Sprintf("defaultClass.settings.maxRetries=%d", retries+4))
		r.inherits(p, retries+4)
		if left := common(operators, r.component("operator")); left > 0 {
			t.Errorf("%d operators of before are left", left)
		}
		if now := r.component("apiserver"); !maps.Equal(now, apiservers) {
			t.Errorf("the apiservers were %v and are %v", apiservers, now)
		}
	})
	t.Run("and back", func(t *testing.T) {
		installation.helm(t.Context(), "rollback", releaseName, "--wait", "--timeout=3m")
		r.in(t).inherits(p, retries)
	})
	t.Run("helm test", func(t *testing.T) {
		installation.helm(t.Context(), "test", releaseName, "--timeout=5m")
		left := mustKubectl(t, "", "get", "wsp,pods,serviceaccounts,roles,rolebindings", "-n", operatorNamespace, "-o", "name")
		if strings.Contains(left, "wsproxy-check") {
			t.Errorf("it leaves something: %s", left)
		}
	})
	if now := podUIDs(r.pods(p.Name)); !maps.Equal(now, pods) {
		t.Errorf("the data planes were %v and are %v", pods, now)
	}
	r.heard(clients, time.Minute)
	unspoilt(t, clients)
}

// versions are the objects of the release with their resourceVersions.
func (r *release) versions() string {
	r.t.Helper()
	manifest := r.helm(r.t.Context(), "get", "manifest", releaseName)
	return mustKubectl(r.t, manifest, "get", "--filename=-", "--no-headers", "--output=custom-columns=:.kind,:.metadata.name,:.metadata.resourceVersion")
}

// component returns the pods of operator or apiserver that are not going away.
func (r *room) component(name string) map[string]types.UID {
	r.t.Helper()
	list := &corev1.PodList{}
	if err := r.List(r.t.Context(), list, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/component": name}); err != nil {
		r.t.Fatal(err)
	}
	return podUIDs(slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil }))
}

// common is how many of the pods are the same.
func common(before, now map[string]types.UID) int {
	same := 0
	for name, uid := range before {
		if now[name] == uid {
			same++
		}
	}
	return same
}

// inherits waits until a value of the default class is in force in every pod.
func (r *room) inherits(p *wsproxyv1alpha1.WebSocketProxy, retries int32) {
	r.t.Helper()
	eventually(r.t, time.Minute, "the setting of the release to be in force", func(ctx context.Context) error {
		if err := r.Get(ctx, r.key(p.Name), p); err != nil {
			return err
		}
		if now := p.Status.EffectiveSettings.MaxRetries.Value; now != retries {
			return fmt.Errorf("maxRetries is %d, want %d", now, retries)
		}
		return met(p, wsproxyv1alpha1.ConditionProgrammed)
	})
	version := r.programmed(p)
	for _, pod := range r.pods(p.Name) {
		r.inForce(&pod, version)
	}
}
