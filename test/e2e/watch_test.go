// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// screen is what a kubectl that does not end by itself has printed.
type screen struct {
	mu sync.Mutex
	// text is guarded by mu.
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// shows waits until a line matches each of the patterns, in which a space is any
// number of them.
func (s *screen) shows(t *testing.T, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		line := regexp.MustCompile("(?m)^" + strings.ReplaceAll(pattern, " ", " +"))
		eventually(t, 30*time.Second, "kubectl to print "+pattern, func(context.Context) error {
			if text := s.String(); !line.MatchString(text) {
				return errors.New(text)
			}
			return nil
		})
	}
}

// watches starts a kubectl that goes on until the test ends.
func watches(t *testing.T, args ...string) *screen {
	t.Helper()
	s, _ := starts(t, args...)
	return s
}

// starts starts a kubectl; ended returns when it has. The end of the test ends it in
// any case.
func starts(t *testing.T, args ...string) (s *screen, ended func() error) {
	t.Helper()
	s = &screen{}
	ctx, cancel := context.WithCancel(t.Context())
	command := exec.CommandContext(ctx, "kubectl", args...)
	command.Stdout, command.Stderr = s, s
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended = sync.OnceValue(command.Wait)
	t.Cleanup(func() {
		cancel()
		_ = ended() // It was killed.
	})
	return s, ended
}

// waits starts a kubectl wait and returns, once it watches or has seen enough, what
// waits for its end, which must be that the condition is met.
func (r *room) waits(name, condition string) (ended func()) {
	r.t.Helper()
	// It says on its log that it watches.
	s, over := starts(r.t, "-n", r.namespace, "wait", "wsc/"+name, "--for="+condition, "--timeout=60s", "-v=6")
	s.shows(r.t, ".*(watch=true|condition met)")
	return func() {
		r.t.Helper()
		if err := over(); err != nil || !strings.Contains(s.String(), name+" condition met") {
			r.t.Errorf("kubectl wait --for=%s: %v: %s", condition, err, s)
		}
	}
}

func TestKubectlWatchesConnectionsAsItWatchesAnything(t *testing.T) {
	r := newRoom(t, "e2e-watch", 1)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) {
		spec.Listen.TrustedProxies = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
	})
	clients := r.talk(p, 10)
	names := held(t, clients)

	all := watches(t, "get", "wsc", "-A", "-w", "-o", "wide", "--output-watch-events")
	ours := watches(t, "-n", r.namespace, "get", "wsc", "-w")
	distant := watches(t, "-n", r.namespace, "get", "wsc", "-w", "--output-watch-events", "--field-selector=spec.sourceIP="+elsewhere)
	one := watches(t, "-n", r.namespace, "get", "wsc", names[0], "-w", "--output-watch-events")
	all.shows(t, "EVENT NAMESPACE NAME PROXY CLIENT PATH PHASE MESSAGES AGE POD UPSTREAM BYTES USER-AGENT$")
	ours.shows(t, "NAME PROXY CLIENT PATH PHASE MESSAGES AGE$")
	for _, name := range names {
		all.shows(t, "ADDED "+r.namespace+" "+name+` echo \S+ / Open .* echo-wsproxy-\S+ \S+:8080 .* wsproxy-load$`)
		ours.shows(t, name+` echo \S+ / Open `)
	}
	r.waits(names[1], "jsonpath={.status.phase}=Open")()
	one.shows(t, "ADDED "+names[0]+` echo \S+ / Open`)

	// Who comes is shown, to those who want to see who comes from there.
	late := r.connectWith(p, fleet.Options{Connections: 1, Rate: 1, Header: http.Header{"X-Forwarded-For": {elsewhere}}})
	young := held(t, late)[0]
	distant.shows(t, "ADDED "+young+" echo "+elsewhere)
	all.shows(t, "(ADDED|MODIFIED) "+r.namespace+" "+young+" echo "+elsewhere+" / Open")
	// Who goes by himself ends a wait.
	gone := r.waits(young, "delete")
	late.Stop(t.Context())
	gone()
	distant.shows(t, "DELETED "+young)

	// Who is deleted ends that kubectl by events, and shows that it closes.
	gone = r.waits(names[0], "delete")
	if out := mustKubectl(t, "", "-n", r.namespace, "delete", "wsc", names[0], "--timeout=60s"); !strings.Contains(out, names[0]) || strings.Contains(out, "rror") {
		t.Error(out)
	}
	gone()
	all.shows(t, "MODIFIED "+r.namespace+" "+names[0]+` echo \S+ / Closing`, "DELETED "+r.namespace+" "+names[0])
	one.shows(t, "DELETED "+names[0])
	r.ends(clients, endings{names[0]: byAdministrator})
	clients.Stop(t.Context())
	for _, name := range names {
		all.shows(t, "DELETED "+r.namespace+" "+name)
	}
	for what, text := range map[string]string{"-A -w": all.String(), "-w": ours.String(), "-w --field-selector": distant.String()} {
		if strings.Contains(text, "rror") || strings.Contains(text, "Warning") || what == "-w --field-selector" && strings.Contains(text, names[0]) {
			t.Errorf("kubectl get %s:\n%s", what, text)
		}
	}
}

// silenced is a watch, begun when all was well, whose pods are stopped.
type silenced struct {
	what string
	body *json.Decoder
	// version is where it began.
	version string
}

// begins begins a watch of a room and reads what there is.
func (a *account) begins(t *testing.T, namespace string) *silenced {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.url+connectionPath(namespace)+"?"+fromScratch, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := a.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	w := &silenced{what: namespace, body: json.NewDecoder(response.Body)}
	for {
		kind, object := w.next(t)
		if w.version = object.ResourceVersion; kind == watch.Bookmark && object.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
			return w
		}
	}
}

const fromScratch = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"

func (s *silenced) next(t *testing.T) (watch.EventType, *connectionsv1alpha1.WebSocketConnection) {
	t.Helper()
	kind, raw := s.raw(t)
	c := &connectionsv1alpha1.WebSocketConnection{}
	if err := json.Unmarshal(raw, c); err != nil {
		t.Fatal(err)
	}
	return kind, c
}

func (s *silenced) raw(t *testing.T) (watch.EventType, json.RawMessage) {
	t.Helper()
	var e struct {
		Type   watch.EventType
		Object json.RawMessage
	}
	if err := s.body.Decode(&e); err != nil {
		t.Fatalf("the watch of %s: %v", s.what, err)
	}
	return e.Type, e.Object
}

// expires reads until the watch says that its version is too old.
func (s *silenced) expires(t *testing.T) {
	t.Helper()
	for {
		kind, raw := s.raw(t)
		if kind != watch.Error {
			continue
		}
		var status metav1.Status
		if err := json.Unmarshal(raw, &status); err != nil || status.Code != http.StatusGone || status.Reason != metav1.StatusReasonExpired {
			t.Errorf("the watch of %s ends with %s", s.what, raw)
		}
		return
	}
}
