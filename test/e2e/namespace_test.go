// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// window is the drain window of the proxies whose namespace is deleted.
const window = 5 * time.Second

// promised is how long after it is deleted a namespace is gone.
const promised = window + 15*time.Second

func TestADeletedNamespaceDrainsItsClientsAndIsGone(t *testing.T) {
	t.Parallel()
	neighbour := newRoom(t, "e2e-neighbour", 1)
	beside := neighbour.proxy("echo", nil)
	bystanders := neighbour.talk(beside, 50)
	theirs := held(t, bystanders)

	t.Run("while all is well", func(t *testing.T) {
		r := neighbour.in(t)
		r.deletes("e2e-deleted", func() {})
		r.lists(theirs)
	})
	t.Run("while a pod of another namespace is silent", func(t *testing.T) {
		r := neighbour.in(t)
		var goOn func()
		r.deletes("e2e-deleted-meanwhile", func() { goOn = stop(t, &r.pods(beside.Name)[0]) })
		goOn()
		r.listsSoon(theirs)
	})

	neighbour.lists(theirs)
	neighbour.heard(bystanders, time.Minute)
	report := bystanders.Stop(t.Context())
	if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
		t.Error(err)
	}
}

// deletes makes a namespace with a proxy in front of this room's echo, deletes it
// under 200 clients, and fails unless all of it is gone in time and each client
// was told. Just before, first is called.
func (r *room) deletes(namespace string, first func()) {
	r.t.Helper()
	// An echo of its own would be deleted, too, and say goodbye to the clients
	// before the proxy does.
	doomed := newRoom(r.t, namespace, 0)
	echo := &corev1.Service{}
	if err := r.Get(r.t.Context(), r.key(backendName), echo); err != nil {
		r.t.Fatal(err)
	}
	p := doomed.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) {
		spec.Upstream = wsproxyv1alpha1.Upstream{URL: fmt.Sprintf("ws://%s:%d", echo.Spec.ClusterIP, echo.Spec.Ports[0].Port)}
		spec.Drain.TimeoutSeconds = new(int32(window.Seconds()))
	})
	doomed.spread(p)
	clients := doomed.talk(p, 200)
	doomed.heard(clients, time.Minute)
	doomed.lists(held(r.t, clients))

	first()
	start := time.Now()
	mustKubectl(r.t, "", "delete", "namespace", namespace, "--wait=false")
	var closed time.Duration
	eventually(r.t, 4*promised, "the namespace to be gone", func(ctx context.Context) error {
		if closed == 0 && clients.Totals().Open == 0 {
			closed = time.Since(start)
		}
		left := &corev1.Namespace{}
		err := r.Get(ctx, client.ObjectKey{Name: namespace}, left)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, fmt.Errorf("it is %s: %v", left.Status.Phase, left.Status.Conditions))
	})
	took := time.Since(start)
	r.t.Logf("the last client was closed after %v, and the namespace was gone after %v", closed.Round(time.Millisecond), took.Round(time.Millisecond))
	// Half an hour, or what is left of five minutes, is what it would take if
	// nobody told Kubernetes; a busy machine needs a few seconds more than promised.
	if took > 2*promised {
		r.t.Errorf("the namespace was gone after %v, want %v", took, promised)
	}
	doomed.lists(nil)
	report := clients.Stop(r.t.Context())
	for _, record := range report.Records {
		if record.Code != 1012 {
			r.t.Errorf("client %s was closed with %d %q, want 1012", record.ID, record.Code, record.Reason)
		}
	}
	if err := report.CheckOpen(); !errors.Is(err, fleet.ErrClosed) {
		r.t.Errorf("the record says %v", err)
	}
	if n := others(report); n > 0 {
		r.t.Errorf("%d messages came twice, out of order or damaged", n)
	}
}
