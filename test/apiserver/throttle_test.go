// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

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
	// To see what a change would do costs as much as to make it; to look, nothing.
	r.call(call{method: http.MethodDelete, path: last + "?dryRun=All", user: "mallory"}).refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "")
	r.call(call{path: last, user: "mallory"}).object(http.StatusOK)

	disconnect("alice", names[999]).object(http.StatusCreated)
	if l := r.call(call{method: http.MethodDelete, path: path("shop"), user: "alice"}).list(); len(l.Items) != 1000 {
		t.Errorf("a collection of %d", len(l.Items))
	}
}

func TestAFloodKeepsNobodyWaitingWhoeverDecidesWhatIsAllowed(t *testing.T) {
	// Who is asked whether mallory may do something takes as long as the test does.
	const burst = 300
	release := make(chan struct{})
	var asked atomic.Int32
	r := newRoom(t, func(c *apiserver.Config) {
		c.Changes.PerSecond, c.Changes.Burst, c.PerUser = 0.001, burst, burst
		c.Generic.Authorization.Authorizer = authorizer.AuthorizerFunc(func(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
			if a.GetUser().GetName() == "mallory" {
				asked.Add(1)
				<-release
			}
			return allButNobody(ctx, a)
		})
	})
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(1001)
	disconnect := func(user, name string) answer {
		return r.call(call{method: http.MethodPost, path: path("shop", name, "disconnect"), user: user, body: "{}"})
	}
	var refused, accepted atomic.Int32
	var flood sync.WaitGroup
	for _, name := range names[:1000] {
		flood.Go(func() {
			switch disconnect("mallory", name).code {
			case http.StatusTooManyRequests:
				refused.Add(1)
			case http.StatusCreated:
				accepted.Add(1)
			}
		})
	}
	defer flood.Wait()
	released := sync.OnceFunc(func() { close(release) })
	defer released()
	r.until("all but the burst are refused", func() bool { return refused.Load() == 1000-burst && asked.Load() == burst })
	disconnect("alice", names[1000]).object(http.StatusCreated)
	r.get(path("shop", names[0])).object(http.StatusOK)
	released()
	flood.Wait()
	if ended := len(p.ended()); accepted.Load() != burst || refused.Load() != 1000-burst || ended != burst+1 {
		t.Errorf("%d accepted, %d refused, %d ended", accepted.Load(), refused.Load(), ended)
	}
}

func TestWhoMayNotAndHasToWaitEndsNothing(t *testing.T) {
	r := newRoom(t, func(c *apiserver.Config) { c.Changes.PerSecond, c.Changes.Burst = 0.001, 3 })
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	var codes []int
	for range 2 {
		for _, c := range []call{
			{method: http.MethodDelete, path: path("shop", name)},
			{method: http.MethodDelete, path: path("shop")},
			{method: http.MethodPost, path: path("shop", name, "disconnect"), body: "{}"},
		} {
			c.user = "nobody"
			codes = append(codes, r.call(c).code)
		}
	}
	if want := []int{403, 403, 403, 429, 429, 429}; !slices.Equal(codes, want) || len(p.ended()) > 0 {
		t.Errorf("answered %v, want %v; ended %v", codes, want, p.ended())
	}
	r.call(call{path: path("shop", name), user: "nobody"}).refusal(http.StatusForbidden, metav1.StatusReasonForbidden, "")
}
