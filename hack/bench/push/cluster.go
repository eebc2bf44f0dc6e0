// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"text/template"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Where everything is, as the manifests say.
const (
	namespace = "bench-push"
	name      = "bench"
)

var (
	//go:embed backend.yaml
	backend string
	//go:embed proxy.yaml
	proxy string
)

// cluster is a proxy with its backend, and the ways to them.
type cluster struct {
	client.WithWatch
	options
}

// newCluster makes backend and proxy, from nothing, and waits until the proxy is
// ready.
func newCluster(ctx context.Context, o options) (*cluster, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), wsproxyv1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	rest, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	api, err := client.NewWithWatch(rest, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	c := &cluster{api, o}
	say("a proxy with %d pods, and its backend", o.pods)
	if _, err := kubectl(ctx, "", "delete", "namespace", namespace, "--ignore-not-found"); err != nil {
		return nil, err
	}
	if _, err := kubectl(ctx, "", "create", "namespace", namespace); err != nil {
		return nil, err
	}
	if _, err := kubectl(ctx, backend, "apply", "-f", "-"); err != nil {
		return nil, err
	}
	if _, err := c.apply(ctx, 0); err != nil {
		return nil, err
	}
	for _, what := range [][]string{{"rollout", "status", "deployment/echo"}, {"wait", "wsp/" + name, "--for=condition=Ready"}} {
		if _, err := kubectl(ctx, "", append(what, "-n", namespace, "--timeout=180s")...); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// close removes everything.
func (c *cluster) close(ctx context.Context) {
	if _, err := kubectl(ctx, "", "delete", "namespace", namespace, "--wait=false"); err != nil {
		say("%v", err)
	}
}

// manifest is the proxy after so many changes.
func (c *cluster) manifest(change int) (string, error) {
	t, err := template.New("proxy").Funcs(template.FuncMap{
		"add": func(a, b int) int { return a + b },
		"odd": func(n int) bool { return n%2 == 1 },
	}).Parse(proxy)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]int{"Pods": c.pods, "Change": change})
	return out.String(), err
}

// apply makes a change and returns the generation that the proxy has with it.
func (c *cluster) apply(ctx context.Context, change int) (int64, error) {
	manifest, err := c.manifest(change)
	if err != nil {
		return 0, err
	}
	generation, err := kubectl(ctx, manifest, "apply", "-f", "-", "-o", "jsonpath={.metadata.generation}")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(generation, 10, 64)
}

// address is the URL of the proxy: by the address of its Service, for there may be no
// DNS.
func (c *cluster) address(ctx context.Context) (string, error) {
	service := &corev1.Service{}
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name + "-wsproxy"}, service)
	return "ws://" + service.Spec.ClusterIP, err
}

// dataplanes returns the pods of the proxy.
func (c *cluster) dataplanes(ctx context.Context) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	err := c.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{wsproxyv1alpha1.LabelProxy: name})
	return list.Items, err
}

// kubectl returns what kubectl prints; its errors have what it says.
func kubectl(ctx context.Context, stdin string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "kubectl", arguments...) // #nosec G204 -- all of them are ours.
	command.Stdin = strings.NewReader(stdin)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(arguments, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(out), nil
}

var begun = time.Now()

// say prints a line of progress.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "%4.0fs  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, arguments...))
}
