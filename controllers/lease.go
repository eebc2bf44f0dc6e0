// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Name of the operator's Deployment, and of the Lease by which one of its pods works
// at a time, both in its own namespace.
const Name = "wsproxy-operator"

// lease makes the Deployment of the operator the owner of its Lease. Who uninstalls
// takes away the rights of the operator together with its pods, so that these cannot
// give the Lease back, and the next installation would wait until it has run out.
type lease struct {
	client    client.Client
	live      client.Reader
	namespace string
	logger    logr.Logger
}

// Start runs when this operator has become the leader, and ends at once. A Lease that
// has no owner does its work as well, so a failure is none of the operator's.
func (l *lease) Start(ctx context.Context) error {
	if err := l.own(ctx); err != nil {
		l.logger.Info("the Lease is not owned by the Deployment", "cause", err.Error())
	}
	return nil
}

func (l *lease) own(ctx context.Context) error {
	key := types.NamespacedName{Namespace: l.namespace, Name: Name}
	deployment := &metav1.PartialObjectMetadata{}
	deployment.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	if err := l.live.Get(ctx, key, deployment); err != nil {
		// It may run elsewhere.
		return client.IgnoreNotFound(err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{{
		APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: deployment.Name, UID: deployment.UID,
	}}}})
	if err != nil {
		return err
	}
	held := &metav1.PartialObjectMetadata{}
	held.SetGroupVersionKind(coordinationv1.SchemeGroupVersion.WithKind("Lease"))
	held.Namespace, held.Name = key.Namespace, key.Name
	if err := l.client.Patch(ctx, held, client.RawPatch(types.MergePatchType, patch)); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("patch Lease %s: %w", key, err)
	}
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*lease) NeedLeaderElection() bool { return true }
