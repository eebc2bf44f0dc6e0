// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// thousand is the number of clients that must not notice anything.
const thousand = 1000

// pasted is the body of the settings call that this API replaces.
const pasted = `{"spec":{"settings":{"connectionLostTimeout":120,"reuseAddr":true,"connectTimeout":30,"maxRetries":3,` +
	`"retryDelay":1000,"autoReconnect":true,"autoReconnectMaxRetries":10,"autoReconnectRetryDelay":3000}}}`

func TestASettingsChangeReachesPodsUnderAThousandClientsWhoDoNotNotice(t *testing.T) {
	r := newRoom(t, "e2e-settings", 1)
	p := r.proxy("echo", nil)
	before := r.programmed(p)
	pods := podUIDs(r.pods(p.Name))
	if len(pods) != 2 {
		t.Fatalf("the proxy has %d pods, want the default of 2", len(pods))
	}
	clients := r.talk(p, thousand)
	r.heard(clients, time.Minute)

	start := time.Now()
	mustKubectl(t, "", "-n", r.namespace, "patch", "wsp", p.Name, "--type", "merge", "-p", pasted)
	version := r.programmed(p)
	t.Logf("every pod acknowledged %v after kubectl patch was called", time.Since(start).Round(time.Millisecond))

	if version == before {
		t.Errorf("the version is still %s", version)
	}
	config := &corev1.ConfigMap{}
	if err := r.Get(t.Context(), r.key(p.Name+"-wsproxy"), config); err != nil {
		t.Fatal(err)
	}
	if config.ResourceVersion != version {
		t.Errorf("status.dataplane.configVersion is %s, the ConfigMap's resourceVersion %s", version, config.ResourceVersion)
	}
	for _, pod := range r.pods(p.Name) {
		r.inForce(&pod, version)
	}
	effective(t, p, wsproxyv1alpha1.EffectiveSettings{
		ConnectionLostTimeout:   seconds(120),
		ReuseAddr:               wsproxyv1alpha1.EffectiveBoolean{Value: true, Unit: "boolean", Source: wsproxyv1alpha1.SourceProxy},
		ConnectTimeout:          seconds(30),
		MaxRetries:              attempts(3),
		RetryDelay:              milliseconds(1000),
		AutoReconnect:           wsproxyv1alpha1.EffectiveBoolean{Value: true, Unit: "boolean", Source: wsproxyv1alpha1.SourceProxy},
		AutoReconnectMaxRetries: attempts(10),
		AutoReconnectRetryDelay: milliseconds(3000),
	})

	r.heard(clients, time.Minute)
	report := clients.Stop(t.Context())
	if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
		t.Error(err)
	}
	if len(report.Pods) != 2 {
		t.Errorf("the connections were spread over %v, want two pods", report.Pods)
	}
	if after := podUIDs(r.pods(p.Name)); !maps.Equal(after, pods) {
		t.Errorf("the pods were %v and are %v: a settings change replaced one", pods, after)
	}
}

// Who answers pings stays, and who does not is found. A client that is cut off sends
// nothing; one that keeps its socket and never reads looks the same to the proxy.
func TestATimeoutThatIsLoweredIsFeltByConnectionsThatAreOpen(t *testing.T) {
	r := newRoom(t, "e2e-timeout", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) {
		spec.Settings.ConnectionLostTimeout = new(int32(600))
	})
	clients := r.connect(p, 20, 0)
	silent := r.silent(p)
	if pings := clients.Totals().Pings; pings > 0 {
		t.Fatalf("there were %d pings, although a timeout of 600 s asks for none before 300 s", pings)
	}
	start := time.Now()
	r.patch(p, `{"spec":{"settings":{"connectionLostTimeout":2}}}`)
	_ = silent.SetReadDeadline(start.Add(time.Minute))
	if _, err := io.Copy(io.Discard, silent); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the silent client is not found: %v", err)
	}
	t.Logf("found %v after the timeout was lowered from 600 s to 2 s", time.Since(start).Round(time.Millisecond))
	// A client that says nothing is pinged after half of the timeout, and again.
	eventually(t, 25*time.Second, "every client to be pinged twice", func(context.Context) error {
		for _, record := range clients.Report().Records {
			if record.Pings < 2 {
				return fmt.Errorf("client %s has seen %d pings", record.ID, record.Pings)
			}
		}
		return nil
	})
	if err := clients.Stop(t.Context()).CheckOpen(); err != nil {
		t.Error(err)
	}
}

// silent opens a WebSocket that never answers anything.
func (r *room) silent(p *wsproxyv1alpha1.WebSocketProxy) net.Conn {
	r.t.Helper()
	address, err := url.Parse(r.url(p))
	if err != nil {
		r.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address.Host)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: echo\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("handshake: %v, %v", response, err)
	}
	return conn
}

func TestARemovedSettingIsInheritedFromTheClassAgain(t *testing.T) {
	r := newRoom(t, "e2e-class", 1)
	class := &wsproxyv1alpha1.WebSocketProxyClass{}
	class.Name = "e2e-class"
	class.Spec.Settings.ConnectTimeout = new(int32(7))
	if err := r.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Delete(context.Background(), class) })
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) {
		spec.ClassName = class.Name
		spec.Settings.ConnectTimeout = new(int32(9))
	})
	pods := podUIDs(r.pods(p.Name))
	want := func(value int32, source wsproxyv1alpha1.SettingSource) {
		t.Helper()
		eventually(t, 30*time.Second, "the setting in force", func(ctx context.Context) error {
			if err := r.Get(ctx, r.key(p.Name), p); err != nil {
				return err
			}
			if got := p.Status.EffectiveSettings.ConnectTimeout; got.Value != value || got.Source != source {
				return errors.New("connectTimeout is " + describe(got))
			}
			return met(p, wsproxyv1alpha1.ConditionProgrammed)
		})
	}
	want(9, wsproxyv1alpha1.SourceProxy)
	r.patch(p, `{"spec":{"settings":{"connectTimeout":null}}}`)
	want(7, wsproxyv1alpha1.ClassSource(class.Name))
	mustKubectl(t, "", "patch", "wspc", class.Name, "--type", "merge", "-p", `{"spec":{"settings":{"connectTimeout":8}}}`)
	want(8, wsproxyv1alpha1.ClassSource(class.Name))
	mustKubectl(t, "", "patch", "wspc", class.Name, "--type", "merge", "-p", `{"spec":{"settings":{"connectTimeout":null}}}`)
	want(30, wsproxyv1alpha1.SourceBuiltIn)
	if after := podUIDs(r.pods(p.Name)); !maps.Equal(after, pods) {
		t.Errorf("the pods were %v and are %v: a settings change replaced one", pods, after)
	}
}

// inForce waits until a pod says that a version is in force.
func (r *room) inForce(pod *corev1.Pod, version string) {
	r.t.Helper()
	eventually(r.t, 30*time.Second, "version "+version+" in pod "+pod.Name, func(ctx context.Context) error {
		got, err := metric(ctx, pod, "wsproxy_config_version")
		if err != nil {
			return err
		}
		// Prometheus writes numbers as floats.
		if number(got) != number(version) {
			return errors.New("it has " + got)
		}
		return nil
	})
}

func podUIDs(pods []corev1.Pod) map[string]types.UID {
	uids := map[string]types.UID{}
	for _, pod := range pods {
		uids[pod.Name] = pod.UID
	}
	return uids
}
