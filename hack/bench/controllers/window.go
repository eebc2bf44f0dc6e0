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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// window is what a new kube-controller-manager has taken.
type window struct {
	// connections are the ones that were open all the time.
	connections    int
	ownCredentials bool
	// start is its CPU time until the window began, cpu that within.
	start, cpu time.Duration
	// The same of kube-scheduler.
	otherStart, other time.Duration
	// pss and heap are bytes at the end, heap the least of what was seen: right after
	// garbage was collected.
	pss, heap int64
	failures  float64
}

// look makes a new kube-controller-manager, waits until it has nothing to do, and looks
// at it for a while.
func (c *cluster) look(ctx context.Context, m *manager, connections int, ownCredentials bool) (window, error) {
	w := window{connections: connections, ownCredentials: ownCredentials}
	say("%d connections, service-account credentials: %v", connections, ownCredentials)
	if err := m.restart(ctx, ownCredentials); err != nil {
		return w, err
	}
	if err := c.collects(ctx); err != nil {
		return w, err
	}
	if err := sleep(ctx, c.settle); err != nil {
		return w, err
	}
	before, err := m.cost(ctx)
	if err != nil {
		return w, err
	}
	w.start, w.otherStart, w.heap = before.cpu, before.other, before.heap
	var after cost
	for end := time.Now().Add(c.window); time.Now().Before(end); {
		if err := sleep(ctx, min(time.Until(end), 5*time.Second)); err != nil {
			return w, err
		}
		if after, err = m.cost(ctx); err != nil {
			return w, err
		}
		w.heap = min(w.heap, after.heap)
	}
	w.cpu, w.other, w.pss, w.failures = after.cpu-before.cpu, after.other-before.other, after.pss, after.failures
	return w, nil
}

// collects makes sure that the garbage collector does its work: what belongs to
// something that was deleted is deleted, too.
func (c *cluster) collects(ctx context.Context) error {
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "owner-"}}
	if err := c.Create(ctx, owner); err != nil {
		return err
	}
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "owned-", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
	}}}
	if err := c.Create(ctx, owned); err != nil {
		return err
	}
	if err := c.Delete(ctx, owner); err != nil {
		return err
	}
	return eventually(ctx, 30*time.Second, func() error {
		err := c.Get(ctx, client.ObjectKeyFromObject(owned), owned)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, fmt.Errorf("the garbage collector has not deleted %s, whose owner is gone", owned.Name))
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
