// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// labelCheck is on the proxy of a check, and on no other: nothing else is removed.
const labelCheck = "app.kubernetes.io/managed-by"

// valueCheck is its value.
const valueCheck = "wsproxy-check"

// proxy makes the proxy, waits until it is ready, and returns where clients reach it.
func (o *Options) proxy(ctx context.Context) (url string, err error) {
	p := &wsproxyv1alpha1.WebSocketProxy{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, Labels: map[string]string{labelCheck: valueCheck}},
		Spec: wsproxyv1alpha1.WebSocketProxySpec{
			Replicas: new(int32(1)),
			Upstream: wsproxyv1alpha1.Upstream{URL: "ws://" + o.Listener.Addr().String()},
			// Its only client has gone when it is removed.
			Drain: wsproxyv1alpha1.Drain{TimeoutSeconds: new(int32(0))},
		},
	}
	if err := o.Client.Create(ctx, p); err != nil {
		return "", fmt.Errorf("make WebSocketProxy %s/%s: %w", o.Namespace, o.Name, err)
	}
	err = o.until(ctx, "WebSocketProxy "+o.Namespace+"/"+o.Name+" to be ready", func(ctx context.Context) error {
		if err := o.Client.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		ready := apimeta.FindStatusCondition(p.Status.Conditions, wsproxyv1alpha1.ConditionReady)
		switch {
		case ready == nil || ready.ObservedGeneration != p.Generation:
			return errors.New("the operator has not seen it yet")
		case ready.Status != metav1.ConditionTrue:
			return fmt.Errorf("%s: %s", ready.Reason, ready.Message)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	// By its address, not by its name: this is no test of the cluster's DNS.
	service := &corev1.Service{}
	if err := o.Client.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Name + "-wsproxy"}, service); err != nil {
		return "", fmt.Errorf("find the proxy's Service: %w", err)
	}
	if len(service.Spec.Ports) == 0 {
		return "", fmt.Errorf("the Service %s has no port", service.Name)
	}
	address := net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(service.Spec.Ports[0].Port)))
	o.say("WebSocketProxy %s/%s is ready at %s (%s)", o.Namespace, o.Name, p.Status.Address, address)
	return "ws://" + address + "/", nil
}

// remove removes the proxy of this or of an earlier check, and waits until its pods
// have gone, too. None is fine.
func (o *Options) remove(ctx context.Context) error {
	p := &wsproxyv1alpha1.WebSocketProxy{}
	return o.until(ctx, "WebSocketProxy "+o.Namespace+"/"+o.Name+" to be removed", func(ctx context.Context) error {
		err := o.Client.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Name}, p)
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		case p.Labels[labelCheck] != valueCheck:
			return errors.New("somebody else made one of that name")
		case p.DeletionTimestamp != nil:
			return errors.New("its pods are leaving")
		}
		// In the foreground, a proxy goes after its pods.
		if err := o.Client.Delete(ctx, p, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
			return err
		}
		return errors.New("its pods are leaving")
	})
}
