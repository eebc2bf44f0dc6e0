// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsproxy/wsproxy/apiserver"
)

func TestAFloodOfOneUserDoesNotAffectAnother(t *testing.T) {
	// Nothing comes back while the test runs.
	r := newRoom(t, func(c *apiserver.Config) { c.Changes.PerSecond, c.Changes.Burst = 0.001, 100 })
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(1000)
	disconnect := func(user, name string) answer {
		return r.call(call{method: http.MethodPost, path: path("shop", name, "disconnect"), user: user, body: "{}"})
	}
	refused := 0
	for _, name := range names[:990] {
		if a := disconnect("mallory", name); a.code != http.StatusCreated {
			a.refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "")
			if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 {
				t.Fatalf("Retry-After: %q", a.header.Get("Retry-After"))
			}
			refused++
		}
	}
	if ended := len(p.ended()); ended != 100 || refused != 890 {
		t.Errorf("ended %d, refused %d", ended, refused)
	}
	last := path("shop", names[995])
	r.call(call{method: http.MethodDelete, path: last, user: "mallory"}).refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "")
	r.call(call{method: http.MethodDelete, path: path("shop"), user: "mallory"}).refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "")
	// What changes nothing is no change.
	r.call(call{method: http.MethodDelete, path: last + "?dryRun=All", user: "mallory"}).object(http.StatusOK)
	r.call(call{path: last, user: "mallory"}).object(http.StatusOK)

	disconnect("alice", names[999]).object(http.StatusCreated)
	if l := r.call(call{method: http.MethodDelete, path: path("shop"), user: "alice"}).list(); len(l.Items) != 1000 {
		t.Errorf("a collection of %d", len(l.Items))
	}
}
