// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// Where hack/deploy puts the operator.
const (
	operatorNamespace = "wsproxy-system"
	operatorName      = "wsproxy-operator"
)

// connect returns a client for the cluster of KUBECONFIG.
func connect(t *testing.T) client.Client {
	t.Helper()
	// The client's own log has nothing that an error does not say.
	log.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), wsproxyv1alpha1.AddToScheme(scheme), connectionsv1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	rest, err := config.GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	// The defaults throttle a test that looks often.
	rest.QPS, rest.Burst = 200, 400
	c, err := client.New(rest, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kubectl runs what a user would type and returns what it prints on both
// streams.
func kubectl(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", args...)
	if stdin != "" {
		cmd.Stdin = bytes.NewBufferString(stdin)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustKubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := kubectl(t, stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s", args, err, out)
	}
	return out
}

// eventually asks until there is no error, and fails with the last one when the
// time is over. The time is for a machine that is busy with something else.
func eventually(t *testing.T, within time.Duration, what string, ask func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v for %s: %v", within, what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// scrape reads a plain HTTP page, such as a pod's metrics.
func scrape(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), nil
}

// sendOperatorAway removes every operator and returns what brings them back and
// waits for them. The end of the test brings them back in any case.
func sendOperatorAway(t *testing.T, c client.Client) (back func()) {
	t.Helper()
	deployment := &appsv1.Deployment{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, deployment); err != nil {
		t.Fatal(err)
	}
	replicas := *deployment.Spec.Replicas
	t.Cleanup(func() {
		// t.Context ends before the cleanup.
		if err := scaleOperator(context.Background(), c, replicas); err != nil {
			t.Error(err)
		}
	})
	scale := func(replicas int32) {
		t.Helper()
		if err := scaleOperator(t.Context(), c, replicas); err != nil {
			t.Fatal(err)
		}
		eventually(t, 90*time.Second, fmt.Sprintf("%d operators", replicas), func(ctx context.Context) error {
			return operators(ctx, c, replicas)
		})
	}
	scale(0)
	return func() { t.Helper(); scale(replicas) }
}

func scaleOperator(ctx context.Context, c client.Client, replicas int32) error {
	deployment := &appsv1.Deployment{}
	deployment.Namespace, deployment.Name = operatorNamespace, operatorName
	return c.Patch(ctx, deployment, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)))
}

// operators returns an error unless there are exactly so many and all are ready.
func operators(ctx context.Context, c client.Client, replicas int32) error {
	deployment := &appsv1.Deployment{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorName}, deployment); err != nil {
		return err
	}
	pods := &corev1.PodList{}
	if err := c.List(ctx, pods, client.InNamespace(operatorNamespace), client.MatchingLabels(deployment.Spec.Selector.MatchLabels)); err != nil {
		return err
	}
	if len(pods.Items) != int(replicas) || deployment.Status.ReadyReplicas != replicas {
		return fmt.Errorf("%d pods, %d ready", len(pods.Items), deployment.Status.ReadyReplicas)
	}
	return nil
}
