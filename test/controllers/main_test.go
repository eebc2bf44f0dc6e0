// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/wsproxy/wsproxy/controllers"
)

// server is the API server that all tests share. Each test has a namespace of
// its own, and an operator of its own; tests that start operators do not run side
// by side.
var server struct {
	config *rest.Config
	client client.Client
	// assets is the folder of kubectl, kubeconfig the file that it is given.
	assets, kubeconfig string
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/controllers:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return 1, errors.New("KUBEBUILDER_ASSETS is not set: it must name a directory with etcd and kube-apiserver; " +
			"run: KUBEBUILDER_ASSETS=$(hack/cluster assets) go test ./test/controllers/...")
	}
	server.assets = assets
	for _, binary := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if _, err := exec.LookPath(filepath.Join(assets, binary)); err != nil {
			return 1, fmt.Errorf("KUBEBUILDER_ASSETS has no usable %s: %w", binary, err)
		}
	}
	log.SetLogger(zap.New(zap.WriteTo(logFile()), zap.UseDevMode(true)))

	environment := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	if server.config, err = environment.Start(); err != nil {
		return 1, fmt.Errorf("start the API server: %w", err)
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	server.config.QPS, server.config.Burst = 1000, 1000
	dir, err := os.MkdirTemp("", "wsproxy-controllers-test-")
	if err != nil {
		return 1, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server.kubeconfig = filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(server.kubeconfig, environment.KubeConfig, 0o600); err != nil {
		return 1, fmt.Errorf("write the kubeconfig: %w", err)
	}
	scheme, err := controllers.Scheme()
	if err != nil {
		return 1, err
	}
	if server.client, err = client.New(server.config, client.Options{Scheme: scheme}); err != nil {
		return 1, fmt.Errorf("make client: %w", err)
	}
	return m.Run(), nil
}

// logFile is where the operators of the tests log to: nowhere, unless the
// environment names a file.
func logFile() *os.File {
	name := os.Getenv("OPERATOR_LOG")
	if name == "" {
		name = os.DevNull
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return os.Stderr
	}
	return f
}
