// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	chartDir  = "../../charts/wsproxy"
	release   = "wsproxy"
	namespace = "wsproxy-system"
)

// tools are what the tests run.
var tools struct {
	helm, kubectl, kubeconfig string
	// home is where Helm and kubectl keep their caches.
	home string
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/chart:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		return 1, errors.New("KUBEBUILDER_ASSETS is not set: it must name a directory with etcd, kube-apiserver and kubectl; " +
			"run: KUBEBUILDER_ASSETS=$(hack/cluster assets) go test ./test/chart/...")
	}
	tools.kubectl = filepath.Join(assets, "kubectl")
	built := exec.Command("../../hack/helm/binary")
	built.Stderr = os.Stderr
	path, err := built.Output()
	if err != nil {
		return 1, fmt.Errorf("build Helm: %w", err)
	}
	tools.helm = strings.TrimSpace(string(path))
	if tools.home, err = os.MkdirTemp("", "wsproxy-chart-test-"); err != nil {
		return 1, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tools.home)) }()

	environment := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		// Two cores that others build on can take their time.
		ControlPlaneStartTimeout: 2 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	if _, err := environment.Start(); err != nil {
		return 1, fmt.Errorf("start etcd and kube-apiserver of %s: %w", assets, err)
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	tools.kubeconfig = filepath.Join(tools.home, "kubeconfig")
	if err := os.WriteFile(tools.kubeconfig, environment.KubeConfig, 0o600); err != nil {
		return 1, fmt.Errorf("write the kubeconfig: %w", err)
	}
	return m.Run(), nil
}
