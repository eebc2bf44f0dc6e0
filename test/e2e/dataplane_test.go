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
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

func TestAKilledDataPlaneComesBackWithTheLastPushedSettingsWithoutOperatorAndAPIServer(t *testing.T) {
	r := newRoom(t, "e2e-dataplane", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Replicas = new(int32(1)) })
	// The kubelet brings a changed ConfigMap into the pod a minute later, so what
	// a container knows right after the push is what it was pushed.
	r.patch(p, `{"spec":{"settings":{"connectTimeout":11}}}`)
	version := r.programmed(p)
	pod := r.pods(p.Name)[0]
	r.inForce(&pod, version)
	_ = sendOperatorAway(t, r.Client)
	url := r.url(p)
	r.reachable(url)
	before, err := process(&pod)
	if err != nil {
		t.Fatal(err)
	}

	goOn := stopAPIServer(t)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the container to be back", func(context.Context) error {
		if now, err := process(&pod); err != nil || now == before {
			return fmt.Errorf("its process is %d, was %d (%w)", now, before, err)
		}
		return nil
	})
	r.inForce(&pod, version)
	r.reachable(url)
	clients, err := fleet.Start(t.Context(), fleet.Options{URL: url, Connections: 10, Rate: 5})
	if err != nil {
		t.Fatal(err)
	}
	r.heard(clients, 30*time.Second)
	if err := r.asked(t.Context()); err == nil {
		t.Error("the API server answers, though it is stopped")
	}
	goOn()
	report := clients.Stop(t.Context())
	if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
		t.Error(err)
	}
	eventually(t, time.Minute, "the kubelet to tell of it", func(ctx context.Context) error {
		if err := r.Get(ctx, r.key(pod.Name), &pod); err != nil {
			return err
		}
		if status := pod.Status.ContainerStatuses[0]; status.RestartCount != 1 || !status.Ready {
			return fmt.Errorf("it has restarted %d times, ready: %t", status.RestartCount, status.Ready)
		}
		return nil
	})
}

// asked asks the API server something, and does not wait for long.
func (r *room) asked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return r.Get(ctx, r.key("default"), &corev1.ServiceAccount{})
}

// stopAPIServer stops the kube-apiserver of this cluster, which shares its network
// with us, and returns what lets it go on; the end of the test does so in any case.
func stopAPIServer(t *testing.T) (goOn func()) {
	t.Helper()
	onlyLocal(t)
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range processes {
		name, _ := os.ReadFile(filepath.Join(dir, "comm")) // It may be gone by now.
		network, _ := os.Readlink(filepath.Join(dir, "ns/net"))
		if string(name) != "kube-apiserver\n" || network != own {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			t.Fatal(err)
		}
		goOn = sync.OnceFunc(func() {
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(goOn)
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		return goOn
	}
	t.Fatal("no kube-apiserver was found in our network")
	return nil
}

// kill ends the process of a pod with SIGKILL.
func kill(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := signal(t, pod, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// signal sends a signal to the process of a pod.
func signal(t *testing.T, pod *corev1.Pod, what syscall.Signal) error {
	t.Helper()
	onlyLocal(t)
	pid, err := process(pod)
	if err != nil {
		return err
	}
	return syscall.Kill(pid, what)
}

func onlyLocal(t *testing.T) {
	t.Helper()
	if kind := os.Getenv("CLUSTER"); kind != "" && kind != "local" {
		t.Skipf("the processes of a %s cluster cannot be signalled from here", kind)
	}
}

// process returns the process of a pod. The images have no shell, but the local
// cluster's processes are this machine's, and have their pod's uid in their
// environment, or else its name, which is the name of its host.
func process(pod *corev1.Pod) (int, error) {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return 0, err
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
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, fmt.Errorf("no process of pod %s was found", pod.Name)
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
