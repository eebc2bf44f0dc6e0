// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

const (
	// namespace of the proxy whose connections stay.
	namespace = "bench-controllers"
	proxyName = "bench"
)

//go:embed echo.yaml
var echo string

// cluster is a proxy with its backend, and the ways to them.
type cluster struct {
	client.Client
	options
	rest *rest.Config
}

// newCluster makes backend and proxy, from nothing, and waits until the proxy is ready.
func newCluster(ctx context.Context, o options) (*cluster, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), wsproxyv1alpha1.AddToScheme(scheme), connectionsv1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	rest, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	rest.QPS, rest.Burst = 200, 400
	api, err := client.New(rest, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	c := &cluster{Client: api, options: o, rest: rest}
	say("a proxy with %d pods, and its backend", o.pods())
	// Without accounts of their own all controllers act as this user, who then has to be
	// given what they need.
	if err := kubectl(ctx, "", "delete", "clusterrolebinding", namespace, "--ignore-not-found"); err != nil {
		return nil, err
	}
	if err := kubectl(ctx, "", "create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin", "--user=system:kube-controller-manager"); err != nil {
		return nil, err
	}
	if err := kubectl(ctx, "", "delete", "namespace", namespace, doomed, "--ignore-not-found"); err != nil {
		return nil, err
	}
	if err := kubectl(ctx, "", "create", "namespace", namespace); err != nil {
		return nil, err
	}
	if err := kubectl(ctx, echo, "apply", "-f", "-"); err != nil {
		return nil, err
	}
	if err := kubectl(ctx, "", "rollout", "status", "deployment/echo", "-n", namespace, "--timeout=180s"); err != nil {
		return nil, err
	}
	upstream := wsproxyv1alpha1.Upstream{ServiceRef: &wsproxyv1alpha1.ServiceReference{Name: "echo", Port: 80}}
	return c, c.proxy(ctx, namespace, o.pods(), upstream, time.Second)
}

// close removes everything.
func (c *cluster) close(ctx context.Context) {
	for _, what := range [][]string{{"namespace", namespace, doomed}, {"clusterrolebinding", namespace}} {
		if err := kubectl(ctx, "", append([]string{"delete", "--ignore-not-found", "--wait=false"}, what...)...); err != nil {
			say("%v", err)
		}
	}
}

// proxy makes a proxy and waits until it is ready. Nothing of its own moves while
// nobody says anything: silent connections are not pinged.
func (c *cluster) proxy(ctx context.Context, namespace string, pods int, upstream wsproxyv1alpha1.Upstream, drain time.Duration) error {
	p := &wsproxyv1alpha1.WebSocketProxy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: proxyName}}
	p.Spec.Replicas, p.Spec.Upstream = new(int32(pods)), upstream
	p.Spec.Settings.ConnectionLostTimeout = new(int32)
	p.Spec.Drain.TimeoutSeconds = new(int32(drain.Seconds()))
	if err := c.Create(ctx, p); err != nil {
		return err
	}
	return kubectl(ctx, "", "wait", "wsp/"+proxyName, "-n", namespace, "--for=condition=Ready", "--timeout=180s")
}

// addresses are those of the pods of the proxy in a namespace. Clients go to the pods,
// because a client's address has ports for 28,000 connections to one address.
func (c *cluster) addresses(ctx context.Context, namespace string) ([]string, error) {
	list := &corev1.PodList{}
	if err := c.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{wsproxyv1alpha1.LabelProxy: proxyName}); err != nil {
		return nil, err
	}
	var urls []string
	for _, p := range list.Items {
		urls = append(urls, fmt.Sprintf("ws://%s:8080/", p.Status.PodIP))
	}
	return urls, nil
}

// listed returns how many connections the API tells of.
func (c *cluster) listed(ctx context.Context) (n int, err error) {
	list := &connectionsv1alpha1.WebSocketConnectionList{}
	for {
		err := c.List(ctx, list, client.InNamespace(namespace), client.Limit(500), client.Continue(list.Continue))
		if err != nil {
			return n, err
		}
		if n += len(list.Items); list.Continue == "" {
			return n, nil
		}
	}
}

// holds waits until the API tells of so many connections.
func (c *cluster) holds(ctx context.Context, want int) error {
	return eventually(ctx, time.Minute, func() error {
		n, err := c.listed(ctx)
		if err == nil && n != want {
			err = fmt.Errorf("the API tells of %d connections, there are %d", n, want)
		}
		return err
	})
}

// eventually asks until there is no error, or for so long.
func eventually(ctx context.Context, patience time.Duration, ask func() error) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		err := ask()
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
	}
}

// kubectl runs kubectl; its errors have what it says.
func kubectl(ctx context.Context, stdin string, arguments ...string) error {
	command := exec.CommandContext(ctx, "kubectl", arguments...) // #nosec G204 -- all of them are ours.
	command.Stdin = strings.NewReader(stdin)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", strings.Join(arguments, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
