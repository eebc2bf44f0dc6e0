// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// lag is a way to the API server on which news of proxies and ConfigMaps can be
// held back, as for a leader that lost the lease and does not know it yet. All
// else, and every write, goes through.
type lag struct {
	inner http.RoundTripper
	// configMaps says that news of them pass.
	configMaps bool
	// only is the resource whose news alone are held back; empty: proxies and
	// ConfigMaps.
	only string
	// written counts ConfigMaps that were written, refused those that the API server
	// refused with a conflict.
	written, refused atomic.Int64

	mu sync.Mutex
	// held is closed when news may pass again; nil while they pass.
	held chan struct{}
}

// RoundTrip implements http.RoundTripper.
func (l *lag) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.inner.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	configMaps := strings.Contains(request.URL.Path, "/configmaps")
	holds := configMaps && !l.configMaps || strings.HasSuffix(request.URL.Path, "/websocketproxies")
	if l.only != "" {
		holds = strings.HasSuffix(request.URL.Path, "/"+l.only)
	}
	switch {
	case request.URL.Query().Get("watch") != "" && holds:
		response.Body = &news{ReadCloser: response.Body, lag: l, closed: make(chan struct{})}
	case configMaps && request.Method == http.MethodPatch && response.StatusCode == http.StatusConflict:
		l.refused.Add(1)
	case configMaps && request.Method == http.MethodPatch:
		l.written.Add(1)
	}
	return response, nil
}

func (l *lag) hold() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := make(chan struct{})
	l.held = held
	return func() { close(held) }
}

// news is the body of a watch.
type news struct {
	io.ReadCloser
	lag    *lag
	once   sync.Once
	closed chan struct{}
}

// Read implements io.Reader.
func (n *news) Read(p []byte) (int, error) {
	read, err := n.ReadCloser.Read(p)
	n.lag.mu.Lock()
	held := n.lag.held
	n.lag.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-n.closed:
			return 0, errors.New("closed while it was held back")
		}
	}
	return read, err
}

// Close implements io.Closer.
func (n *news) Close() error {
	n.once.Do(func() { close(n.closed) })
	return n.ReadCloser.Close()
}

// startLagging starts an operator whose news can be held back.
func (r *room) startLagging(l *lag) (*operator, *lag) {
	r.Helper()
	return startOperatorAs(r.T, through(func(inner http.RoundTripper) http.RoundTripper {
		l.inner = inner
		return l
	}), r.namespace), l
}

// through is the way to the API server with something in between.
func through(wrap func(http.RoundTripper) http.RoundTripper) *rest.Config {
	config := rest.CopyConfig(server.config)
	config.Wrap(wrap)
	return config
}

func TestAnOperatorThatIsBehindIsRefusedAndPushesNothing(t *testing.T) {
	for name, c := range map[string]struct{ restarted, configMaps bool }{
		"while the pod runs": {},
		// The operator that is behind learns from the pod that there is something
		// newer, and must not take that for news of the proxy.
		"after the pod came back": {restarted: true},
		// It hears of the ConfigMap, whose resourceVersion it then knows, and takes
		// it for something to be put right.
		"with proxies alone": {configMaps: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.backend()
			endpoints := r.slice("10.0.0.1")
			_, stale := r.startLagging(&lag{configMaps: c.configMaps})
			p := r.serving("echo", 1, toBackend)
			before := stale.written.Load()
			release := stale.hold()
			defer release()

			// Another operator takes over; the first does not know.
			fresh := startOperator(t, r.namespace)
			r.patch(get[wsproxyv1alpha1.WebSocketProxy](r, "echo"), `{"spec":{"settings":{"maxRetries":7}}}`)
			p[0].retries(7)
			r.condition("echo", wsproxyv1alpha1.ConditionProgrammed, metav1.ConditionTrue, wsproxyv1alpha1.ReasonProgrammed)
			fresh.stop()
			config := get[corev1.ConfigMap](r, "echo-wsproxy")
			pushes := p[0].pushes()
			if c.restarted {
				asked := 0
				p[0].set(func() { p[0].keeps, asked = true, p[0].statuses })
				p[0].server.Stop()
				p[0].serve()
				r.eventually(func() error {
					p[0].mu.Lock()
					defer p[0].mu.Unlock()
					if p[0].statuses == asked {
						return errors.New("it has not learned that the pod has something newer")
					}
					return nil
				})
			}

			// What it hears of makes it want to write what it believes.
			looks := reconciled(r, "websocketproxy")
			r.patch(endpoints, `{"endpoints":[{"addresses":["10.0.0.2"],"conditions":{"ready":true}}]}`)
			r.eventually(func() error {
				if n := stale.refused.Load(); n < 3 && !c.restarted && !c.configMaps {
					return fmt.Errorf("%d writes were refused", n)
				}
				if n := reconciled(r, "websocketproxy") - looks; n < 3 {
					return fmt.Errorf("it looked %v times", n)
				}
				return nil
			})
			if n := stale.written.Load() - before; n != 0 {
				t.Errorf("it wrote %d times", n)
			}
			if now := get[corev1.ConfigMap](r, "echo-wsproxy"); now.ResourceVersion != config.ResourceVersion {
				t.Errorf("the ConfigMap is now:\n%s", now.Data[dataplanev1alpha1.SnapshotFile])
			}
			if n := p[0].pushes() - pushes; n != 0 {
				t.Errorf("pushed %d times", n)
			}
			p[0].retries(7)
		})
	}
}
