// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// server is the API server that all tests of the package share; each test works
// in a namespace of its own.
var server struct {
	config     *rest.Config
	client     client.Client
	assets     string
	kubeconfig string
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/api:", err)
		code = 1
	}
	os.Exit(code)
}

// run starts the server, installs the CRDs as a user does, runs the tests and
// stops the server.
func run(m *testing.M) (code int, err error) {
	server.assets = os.Getenv("KUBEBUILDER_ASSETS")
	if server.assets == "" {
		return 1, errors.New("KUBEBUILDER_ASSETS is not set: it must name a directory with etcd, kube-apiserver and kubectl; " +
			"run: KUBEBUILDER_ASSETS=$(hack/cluster assets) go test ./test/api/...")
	}
	for _, binary := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if _, err := exec.LookPath(filepath.Join(server.assets, binary)); err != nil {
			return 1, fmt.Errorf("KUBEBUILDER_ASSETS has no usable %s: %w", binary, err)
		}
	}

	dir, err := os.MkdirTemp("", "wsproxy-api-test-")
	if err != nil {
		return 1, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	environment := &envtest.Environment{
		BinaryAssetsDirectory: server.assets,
		// Two cores that others build on can take their time.
		ControlPlaneStartTimeout: 2 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	if server.config, err = environment.Start(); err != nil {
		return 1, fmt.Errorf("start etcd and kube-apiserver of %s: %w", server.assets, err)
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	// The tests ask faster than a client-side limit for controllers allows.
	server.config.QPS, server.config.Burst = 500, 500

	server.kubeconfig = filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(server.kubeconfig, environment.KubeConfig, 0o600); err != nil {
		return 1, fmt.Errorf("write the kubeconfig: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(wsproxyv1alpha1.AddToScheme(scheme), clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		return 1, fmt.Errorf("build the scheme: %w", err)
	}
	if server.client, err = client.New(server.config, client.Options{Scheme: scheme}); err != nil {
		return 1, fmt.Errorf("build the client: %w", err)
	}
	if err := install(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// install applies the CRDs, and the policies that warn, on the client's side, which
// fails where a CRD has become too large for the annotation that kubectl keeps it
// in.
func install() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, arguments := range [][]string{
		{"apply", "-k", filepath.Join("..", "..", "config", "crd")},
		{"apply", "-k", filepath.Join("..", "..", "config", "admission")},
		{"wait", "--for=condition=Established", "--timeout=60s",
			"crd/websocketproxies.wsproxy.io", "crd/websocketproxyclasses.wsproxy.io"},
	} {
		if output, err := kubectl(ctx, arguments...); err != nil {
			return fmt.Errorf("install the CRDs: %w\n%s", err, output)
		}
	}
	// Discovery and OpenAPI, from which kubectl knows short names and what to
	// explain, follow a moment after Established.
	for _, resource := range []string{"wsp", "wspc"} {
		for {
			output, err := kubectl(ctx, "explain", resource)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for kubectl to know %s: %w\n%s", resource, err, output)
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	return nil
}
