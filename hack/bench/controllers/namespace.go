// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

const (
	// doomed is the namespace that is deleted.
	doomed = "bench-deleted"
	// drain is the drain window of its proxy.
	drain = 5 * time.Second
	// promised is how long after that it is gone.
	promised = drain + 15*time.Second
)

// deletion is how long after it was deleted a namespace had no client any more, and was
// gone.
type deletion struct {
	beside         int // connections that were open in other namespaces
	ownCredentials bool
	closed, gone   time.Duration
}

// deletes makes a namespace with a proxy and clients, and deletes it. The error is also
// that a client was not told.
func (c *cluster) deletes(ctx context.Context, beside int, ownCredentials bool) (d deletion, err error) {
	d.beside, d.ownCredentials = beside, ownCredentials
	say("a namespace with %d connections", c.doomed)
	echo := &corev1.Service{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "echo"}, echo); err != nil {
		return d, err
	}
	if err := kubectl(ctx, "", "create", "namespace", doomed); err != nil {
		return d, err
	}
	// An echo of its own would be deleted, too, and say goodbye before the proxy does.
	upstream := wsproxyv1alpha1.Upstream{URL: fmt.Sprintf("ws://%s:%d", echo.Spec.ClusterIP, echo.Spec.Ports[0].Port)}
	if err := c.proxy(ctx, doomed, 2, upstream, drain); err != nil {
		return d, err
	}
	urls, err := c.addresses(ctx, doomed)
	if err != nil {
		return d, err
	}
	var all []*fleet.Fleet
	for _, url := range urls {
		n := c.doomed / len(urls)
		clients, err := fleet.Start(ctx, fleet.Options{URL: url, Connections: n, Ramp: time.Duration(n) * 5 * time.Millisecond})
		if err != nil {
			return d, err
		}
		defer clients.Stop(context.WithoutCancel(ctx))
		all = append(all, clients)
	}
	for _, clients := range all {
		if err := clients.Opened(ctx); err != nil {
			return d, err
		}
	}
	began := time.Now()
	if err := kubectl(ctx, "", "delete", "namespace", doomed, "--wait=false"); err != nil {
		return d, err
	}
	err = eventually(ctx, 4*promised, func() error {
		open := 0
		for _, clients := range all {
			open += clients.Totals().Open
		}
		if open == 0 && d.closed == 0 {
			d.closed = time.Since(began)
		}
		left := &corev1.Namespace{}
		err := c.Get(ctx, client.ObjectKey{Name: doomed}, left)
		if apierrors.IsNotFound(err) {
			d.gone = time.Since(began)
			return nil
		}
		return errors.Join(err, fmt.Errorf("namespace %s is %s with %d clients: %v", doomed, left.Status.Phase, open, left.Status.Conditions))
	})
	if err != nil {
		return d, err
	}
	for _, clients := range all {
		for _, r := range clients.Report().Records {
			if r.Code != 1012 {
				return d, fmt.Errorf("connection %s was closed with %d %q, not 1012", r.ID, r.Code, r.Reason)
			}
		}
	}
	return d, nil
}
