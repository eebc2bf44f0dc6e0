// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

func TestAKilledDataPlaneComesBackWithTheLastPushedSettingsWithoutTheOperator(t *testing.T) {
	r := newRoom(t, "e2e-dataplane", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Replicas = new(int32(1)) })
	// The kubelet brings a changed ConfigMap into the pod a minute later, so what
	// a container knows right after the push is what it was pushed.
	r.patch(p, `{"spec":{"settings":{"connectTimeout":11}}}`)
	version := r.programmed(p)
	pod := r.pods(p.Name)[0]
	r.inForce(&pod, version)
	_ = sendOperatorAway(t, r.Client)

	kill(t, &pod)
	eventually(t, time.Minute, "the container to be back", func(ctx context.Context) error {
		if err := r.Get(ctx, r.key(pod.Name), &pod); err != nil {
			return err
		}
		status := pod.Status.ContainerStatuses[0]
		if status.RestartCount != 1 || !status.Ready {
			return fmt.Errorf("it has restarted %d times, ready: %t", status.RestartCount, status.Ready)
		}
		return nil
	})
	r.inForce(&pod, version)
	clients := r.talk(p, 10)
	r.heard(clients, 30*time.Second)
	report := clients.Stop(t.Context())
	if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
		t.Error(err)
	}
}

// kill ends the process of a pod with SIGKILL.
func kill(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := signal(t, pod, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// signal sends a signal to the process of a pod. The images have no shell, but
// the local cluster's processes are this machine's, and have their pod's uid in
// their environment, or else its name, which is the name of its host.
func signal(t *testing.T, pod *corev1.Pod, what syscall.Signal) error {
	t.Helper()
	if kind := os.Getenv("CLUSTER"); kind != "" && kind != "local" {
		t.Skipf("the processes of a %s cluster cannot be signalled from here", kind)
	}
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return err
	}
	wanted := []string{dataplanev1alpha1.EnvPodUID + "=" + string(pod.UID), "HOSTNAME=" + pod.Name}
	for _, file := range environments {
		// Processes come and go while we look.
		environment, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for variable := range bytes.SplitSeq(environment, []byte{0}) {
			if !slices.Contains(wanted, string(variable)) {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				return err
			}
			return syscall.Kill(pid, what)
		}
	}
	return fmt.Errorf("no process of pod %s was found", pod.Name)
}

func TestMorePodsAreProgrammedAtOnce(t *testing.T) {
	r := newRoom(t, "e2e-scale", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Replicas = new(int32(1)) })
	clients := r.talk(p, 20)
	mustKubectl(t, "", "-n", r.namespace, "scale", "wsp", p.Name, "--replicas=3")
	eventually(t, 2*time.Minute, "three programmed pods", func(ctx context.Context) error {
		if err := r.Get(ctx, r.key(p.Name), p); err != nil {
			return err
		}
		if d := p.Status.Dataplane; d.Pods != 3 || d.Programmed != 3 || p.Status.ReadyReplicas != 3 {
			return fmt.Errorf("%+v, %d ready", d, p.Status.ReadyReplicas)
		}
		return nil
	})
	for _, pod := range r.pods(p.Name) {
		r.inForce(&pod, p.Status.Dataplane.ConfigVersion)
	}
	r.heard(clients, 30*time.Second)
	report := clients.Stop(t.Context())
	if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
		t.Error(err)
	}
}
