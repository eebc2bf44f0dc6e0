// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

const samples = "../../config/samples"

func TestTheSamplesAreReadyWithinAMinute(t *testing.T) {
	mustKubectl(t, "", "apply", "-k", samples)
	t.Cleanup(func() {
		// t.Context ends before the cleanup, so this is not kubectl's wrapper.
		r := &room{Client: connect(t), t: t, namespace: "default"}
		p := &wsproxyv1alpha1.WebSocketProxy{}
		if err := r.Get(context.Background(), r.key("echo"), p); err == nil {
			_ = r.Delete(context.Background(), p)
		}
	})
	mustKubectl(t, "", "wait", "wsp/echo", "--for=condition=Ready", "--timeout=60s")

	r := &room{Client: connect(t), t: t, namespace: "default"}
	p := &wsproxyv1alpha1.WebSocketProxy{}
	if err := r.Get(t.Context(), r.key("echo"), p); err != nil {
		t.Fatal(err)
	}
	clients := r.talk(p, 10)
	r.heard(clients, 30*time.Second)
	report := clients.Stop(t.Context())
	if err := report.CheckOpen(); err != nil {
		t.Error(err)
	}
	if err := report.CheckAll(); err != nil {
		t.Error(err)
	}

	t.Run("and kubectl shows them", func(t *testing.T) {
		out := mustKubectl(t, "", "get", "wsp", "echo", "-o", "wide")
		for _, want := range []string{"READY", "PROGRAMMED", "CONNECTIONS", "ADDRESS", "True"} {
			if !strings.Contains(out, want) {
				t.Errorf("kubectl get wsp does not show %s:\n%s", want, out)
			}
		}
	})
	t.Run("and apply again changes nothing", func(t *testing.T) {
		before := p.Generation
		mustKubectl(t, "", "apply", "-k", samples)
		if err := r.Get(t.Context(), r.key("echo"), p); err != nil {
			t.Fatal(err)
		}
		if p.Generation != before {
			t.Errorf("the generation went from %d to %d", before, p.Generation)
		}
	})
}
