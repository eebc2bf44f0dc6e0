// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/wsproxy/wsproxy/hack/docs/markdown"
)

// directFile is a document whose manifests and commands this test runs.
const directFile = "../../docs/direct-access.md"

func TestDirectAccess(t *testing.T) {
	page, err := markdown.Read(directFile)
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(t, "e2e-direct", 1)
	here := strings.NewReplacer("namespace: shop", "namespace: "+r.namespace, "namespaces/shop/", "namespaces/"+r.namespace+"/")
	chat := r.proxy("chat", onePod)
	conn, name := r.mute(chat)
	r.trust()
	r.backend(here.Replace(block(t, page, "yaml")))

	setup := here.Replace(block(t, page, "sh"))
	requests := page.Tables[0]
	if len(requests.Rows) < 10 {
		t.Fatalf("%s has %d requests", directFile, len(requests.Rows))
	}
	for _, row := range requests.Rows {
		what, command, code := row[0], strings.ReplaceAll(here.Replace(markdown.Code(row[1])), "NAME", name), row[2]
		// The rights of a new account take a moment.
		eventually(t, 30*time.Second, what, func(context.Context) error {
			out, err := kubectl(t, "", "-n", r.namespace, "exec", "chat-backend", "--", "/bin/bash", "-euc", setup+command)
			body, got, _ := strings.Cut(strings.TrimSpace(out), "\ncode ")
			if err != nil || got != code {
				return fmt.Errorf("%s: %w\nanswers %q, want %s: %s", command, err, got, code, body)
			}
			if code == "200" && !strings.Contains(body, name) {
				return fmt.Errorf("%s does not say %s: %s", command, name, body)
			}
			return nil
		})
	}
	var heard []string
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			heard = append(heard, err.Error())
			break
		}
		heard = append(heard, fmt.Sprintf("%d %q", kind, message))
	}
	// A row that had to be run again for its rights has sent nothing before.
	want := []string{`1 "hello"`, `2 "\x00\x01\x02"`, "websocket: close 4001: please log in again"}
	if strings.Join(heard, "|") != strings.Join(want, "|") {
		t.Errorf("the client heard %q, want %q", heard, want)
	}
}

// block is the first of a page in that language.
func block(t *testing.T, page *markdown.Document, language string) string {
	t.Helper()
	for _, b := range page.Blocks {
		if b.Language == language {
			return b.Text
		}
	}
	t.Fatalf("no block of %s", language)
	return ""
}

// trust waits for the authority of the API server beside the proxy.
func (r *room) trust() {
	r.t.Helper()
	eventually(r.t, 30*time.Second, "the ConfigMap with the authority", func(ctx context.Context) error {
		return r.Get(ctx, r.key("wsproxy-apiserver-ca"), &corev1.ConfigMap{})
	})
}

// backend applies manifests. The pod among them runs bash and curl of its node, and
// knows the Service by name without a DNS. What curl prints ends with the code.
func (r *room) backend(manifests string) {
	r.t.Helper()
	service := &corev1.Service{}
	if err := r.Get(r.t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: "wsproxy-apiserver"}, service); err != nil {
		r.t.Fatal(err)
	}
	curlrc := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "curlrc"},
		Data:       map[string]string{".curlrc": `write-out = "\ncode %{http_code}"`},
	}
	if err := r.Create(r.t.Context(), curlrc); err != nil {
		r.t.Fatal(err)
	}
	for manifest := range strings.SplitSeq(manifests, "\n---\n") {
		if strings.Contains(manifest, "kind: Pod\n") {
			manifest = r.withShell(manifest, service.Spec.ClusterIP)
		}
		mustKubectl(r.t, manifest, "apply", "-f", "-")
	}
	mustKubectl(r.t, "", "-n", r.namespace, "wait", "pod/chat-backend", "--for=condition=Ready", "--timeout=60s")
}

func (r *room) withShell(manifest, address string) string {
	r.t.Helper()
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict([]byte(manifest), pod); err != nil {
		r.t.Fatalf("%v: %s", err, manifest)
	}
	pod.Spec.HostAliases = []corev1.HostAlias{{IP: address, Hostnames: []string{"wsproxy-apiserver.wsproxy-system.svc"}}}
	pod.Spec.TerminationGracePeriodSeconds = new(int64(0))
	c := &pod.Spec.Containers[0]
	c.Image, c.ImagePullPolicy = "localhost/wsproxy/echo:dev", corev1.PullIfNotPresent
	c.Command = []string{"/bin/sleep", "infinity"}
	c.Env = append(c.Env, corev1.EnvVar{Name: "CURL_HOME", Value: "/curl"}, corev1.EnvVar{Name: "PATH", Value: "/bin"})
	mount := func(name, path string, source corev1.VolumeSource) {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: true})
	}
	for name, at := range map[string][2]string{
		"usr": {"/usr", "/usr"}, "bin": {"/usr/bin", "/bin"}, "lib": {"/usr/lib", "/lib"}, "lib64": {"/usr/lib64", "/lib64"},
		"nsswitch": {"/etc/nsswitch.conf", "/etc/nsswitch.conf"},
	} {
		mount(name, at[1], corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: at[0]}})
	}
	mount("curl", "/curl", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "curlrc"}}})
	raw, err := yaml.Marshal(pod)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(raw)
}
