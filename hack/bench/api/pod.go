// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/control"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// namespace of all pods.
const namespace = "fleet"

// pod is a registry without sockets behind a control server.
type pod struct {
	ip       string
	registry *registry.Registry
	// connections are those that are open, in no order.
	connections []*connection
	opened      int
	server      *control.Server
}

// proxyOf is the name of the proxy of the pod with this number, of so many proxies.
func proxyOf(number, proxies int) string { return fmt.Sprintf("proxy-%d", number%proxies) }

// podName is the name of a pod.
func podName(number, proxies int) string {
	return fmt.Sprintf("%s-%d", proxyOf(number, proxies), number)
}

// addressOf is a loopback address for each pod, away from those that people use.
func addressOf(number int) string { return fmt.Sprintf("127.77.%d.%d", number/250, 1+number%250) }

// createPod makes the object of a pod that runs, and returns its UID.
func createPod(ctx context.Context, kube kubernetes.Interface, proxy, name, ip string) (string, error) {
	pods := kube.CoreV1().Pods(namespace)
	made, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: objects.Labels(proxy)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: objects.ContainerName, Image: "none"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	made.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: objects.ContainerName, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}},
	}
	_, err = pods.UpdateStatus(ctx, made, metav1.UpdateOptions{})
	return string(made.UID), err
}

// writeControl writes what a pod of the proxy shows on its control port.
func writeControl(ca *authority, dir, proxy string) error {
	return ca.write(dir, dataplanev1alpha1.FileControlCert, dataplanev1alpha1.FileControlKey, dataplanev1alpha1.FileControlCA,
		dataplanev1alpha1.ServerName(namespace, proxy))
}

// newPod makes a pod without connections that answers.
func newPod(ctx context.Context, kube kubernetes.Interface, ca *authority, dir string, number, proxies int) (*pod, error) {
	proxy := proxyOf(number, proxies)
	p := &pod{ip: addressOf(number)}
	uid, err := createPod(ctx, kube, proxy, podName(number, proxies), p.ip)
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, strconv.Itoa(number))
	if err := writeControl(ca, dir, proxy); err != nil {
		return nil, err
	}
	initial, err := config.Compile(&dataplanev1alpha1.Snapshot{
		Namespace: namespace, Proxy: proxy,
		Settings: &dataplanev1alpha1.Settings{ConnectTimeout: 30}, Upstream: &dataplanev1alpha1.Upstream{Service: true},
	})
	if err != nil {
		return nil, err
	}
	p.registry = registry.New(registry.NewPodID(uid, time.Now()))
	p.server = control.New(control.Options{
		Store: config.NewStore(initial, ""), Registry: p.registry, Drain: func() {}, Draining: func() bool { return false },
		Certs: certs.NewDir(dir, logr.Discard()), Logger: logr.Discard(),
	})
	listener, err := net.Listen("tcp", net.JoinHostPort(p.ip, strconv.Itoa(dataplanev1alpha1.PortControl)))
	if err != nil {
		return nil, err
	}
	go func() { _ = p.server.Serve(listener) }() // Whoever asks finds out.
	return p, nil
}

// resize opens connections, or ends the youngest, until there are n.
func (p *pod) resize(n int) {
	for len(p.connections) < n {
		c := &connection{pod: p, number: p.opened, since: time.Now()}
		p.opened++
		p.registry.AddIn(&c.entry, c)
		p.registry.Report(c.entry.ID(), dataplanev1alpha1.Phase_PHASE_OPEN, upstreamAddress)
		p.connections = append(p.connections, c)
	}
	for len(p.connections) > n {
		last := len(p.connections) - 1
		p.registry.Remove(&p.connections[last].entry)
		p.connections[last] = nil
		p.connections = p.connections[:last]
	}
}

// replace takes a connection that was disconnected out of those to choose from, and
// opens another one.
func (p *pod) replace(i int) {
	n := len(p.connections)
	p.connections[i] = p.connections[n-1]
	p.connections[n-1] = nil
	p.connections = p.connections[:n-1]
	p.resize(n)
}
