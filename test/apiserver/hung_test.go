// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsproxy/wsproxy/apiserver"
)

// others checks that alice is served.
func (r *room) others(names []string) {
	r.Helper()
	for _, at := range []string{path("shop"), path("shop", names[0]), "/apis", "/apis/connections.wsproxy.io/v1alpha1", "/openapi/v3", "/readyz/pods-known", "/livez/ping"} {
		if a := r.get(at); a.code != http.StatusOK {
			r.Errorf("alice is answered %d on %s: %s", a.code, at, a.body)
		}
	}
	r.call(call{method: http.MethodDelete, path: path("shop", names[1])}).object(http.StatusOK)
	r.call(call{method: http.MethodPost, path: path("shop", names[2], "disconnect"), body: "{}"}).object(http.StatusCreated)
}

// tally counts how requests were answered, by code.
type tally struct {
	sync.WaitGroup
	of [600]atomic.Int32
}

func (c *tally) send(r *room, what call) {
	c.Go(func() { c.of[r.call(what).code].Add(1) })
}

func TestAHungPodDoesNotUseUpTheServer(t *testing.T) {
	r := newRoom(t, podTimeout(10*time.Second))
	silent := r.silentPod("mallory", "echo", "echo-silent")
	names := r.pod("shop", "echo", "echo-a").connect(10)
	var got tally
	defer got.Wait()
	name := string(silent.id) + "-00000000"
	for range 500 {
		got.send(r, call{path: path("mallory", name), user: "mallory"})
		got.send(r, call{method: http.MethodPost, path: path("mallory", name, "disconnect"), user: "mallory", body: "{}"})
	}
	// Few wait for the pod, and all others are told at once.
	r.until("most are refused", func() bool { return got.of[503].Load()+got.of[429].Load() >= 1000-16 })
	r.others(names)
}

func TestManyHungPodsDoNotUseUpTheServer(t *testing.T) {
	// Whoever is let in stays until the end of the test, however long the others take.
	r := newRoom(t, podTimeout(10*time.Minute), func(c *apiserver.Config) { c.PerUser = 40 })
	names := r.pod("shop", "echo", "echo-a").connect(10)
	var got tally
	defer got.Wait()
	for i := range 30 {
		silent := r.silentPod("mallory", "echo", fmt.Sprintf("echo-%d", i))
		defer func() { r.remove(silent) }()
		for n := range 15 {
			name := fmt.Sprintf("%s-%08d", silent.id, n)
			got.send(r, call{path: path("mallory", name), user: "mallory"})
			got.send(r, call{method: http.MethodDelete, path: path("mallory", name), user: "mallory"})
		}
	}
	r.until("all but the share is refused", func() bool { return got.of[429].Load() == 900-2*40 })
	a := r.call(call{path: path("mallory"), user: "mallory"})
	a.refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	r.others(names)
}

// Even a server that serves all that it can says that it is there.
func TestHealthAndDiscoveryAreAlwaysServed(t *testing.T) {
	r := newRoom(t, podTimeout(10*time.Second), func(c *apiserver.Config) { c.Generic.MaxRequestsInFlight = 5 })
	silent := r.silentPod("mallory", "echo", "echo-silent")
	var got tally
	defer got.Wait()
	r.until("the server is full", func() bool {
		got.send(r, call{path: path("mallory", string(silent.id)+"-00000000"), user: "mallory"})
		return r.get(path("shop")).code == http.StatusTooManyRequests
	})
	for _, at := range []string{"/apis", "/apis/connections.wsproxy.io", "/apis/connections.wsproxy.io/v1alpha1", "/openapi/v3", "/readyz/pods-known", "/livez/ping"} {
		if a := r.get(at); a.code != http.StatusOK {
			t.Errorf("%s: %d: %s", at, a.code, a.body)
		}
	}
}

func TestAPodThatWasSilentIsNotWaitedForAgain(t *testing.T) {
	r := newRoom(t, podTimeout(200*time.Millisecond))
	silent := r.silentPod("shop", "echo", "echo-silent")
	name := string(silent.id) + "-00000000"
	for _, why := range []string{"gave no answer within 200ms", "gave no answer a moment ago"} {
		a := r.get(path("shop", name))
		s := a.refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
		if a.header.Get("Retry-After") != "1" || !strings.HasSuffix(s.Message, "pod shop/echo-silent "+why) {
			t.Errorf("Retry-After %q: %s", a.header.Get("Retry-After"), s.Message)
		}
	}
	// It comes back, and is found to have.
	silent.stop()
	silent.serve(t, r.authority, r.port)
	back := silent.connect(1)[0]
	r.until("the pod is asked again", func() bool { return r.get(path("shop", back)).code == http.StatusOK })
}

// What goes wrong between server and pod is in the log: to whoever asked it says
// nothing but addresses.
func TestAnErrorHasNoAddress(t *testing.T) {
	r := newRoom(t, podTimeout(200*time.Millisecond))
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	p.stop()
	for _, c := range []call{
		{path: path("shop", name)},
		{method: http.MethodDelete, path: path("shop", name)},
		{path: path("shop")},
	} {
		a := r.call(c)
		for _, leak := range []string{p.ip, "127.", "dial", "rpc error", r.clientDir, "transport"} {
			if strings.Contains(string(a.body)+a.header.Get("Warning"), leak) {
				t.Errorf("%s %s says %q: %s", c.method, c.path, leak, a.body)
			}
		}
	}
}

// Watches of pods that hang are refused when their time is over, and those that were
// under way end. Nobody else waits for that.
func TestWatchesOfPodsThatHang(t *testing.T) {
	r := newRoom(t, podTimeout(5*time.Second))
	names := r.pod("shop", "echo", "echo-a").connect(10)
	hangs := r.pod("mallory", "echo", "echo-0")
	under := r.watch("mallory", withState)
	under.wantState(nil)
	version := r.get(path("mallory")).list().ResourceVersion
	hangs.stop()
	hangs.hang(t, r.authority, r.port)
	for i := range 30 {
		r.silentPod("mallory", "echo", fmt.Sprintf("echo-%d", i+1))
	}
	var begins, resumes, lists tally
	for range 50 {
		begins.send(r, call{path: path("mallory") + "?" + withState, user: "mallory"})
		resumes.send(r, call{path: path("mallory") + "?watch=1&resourceVersion=" + version, user: "mallory"})
	}
	for range 10 {
		lists.send(r, call{path: path("mallory") + "?limit=500", user: "mallory"})
	}
	r.others(names)
	for what, c := range map[string]struct {
		*tally
		want, of int
	}{"begin": {&begins, http.StatusServiceUnavailable, 50}, "resume": {&resumes, http.StatusGone, 50}, "list": {&lists, http.StatusOK, 10}} {
		c.Wait()
		if n := int(c.tally.of[c.want].Load()); n != c.of {
			t.Errorf("%s: %d of %d are answered %d", what, n, c.of, c.want)
		}
	}
	under.wantEnd(http.StatusGone)
}

// A list without a limit is in memory as a whole.
func TestListsWithoutALimitAreBounded(t *testing.T) {
	r := newRoom(t, podTimeout(10*time.Minute), func(c *apiserver.Config) { c.PerUser = 40 })
	silent := r.silentPod("mallory", "echo", "echo-silent")
	names := r.pod("shop", "echo", "echo-a").connect(10)
	var whole tally
	defer whole.Wait()
	defer func() { r.remove(silent) }()
	for i := range 20 {
		whole.send(r, call{path: path("mallory") + []string{"", "?limit=0", "?limit=1000000", "?limit=-1"}[i%4], user: "mallory"})
	}
	r.until("all but a tenth of the share is refused", func() bool { return whole.of[429].Load() == 20-40/10 })
	if a := r.call(call{path: path("shop") + "?limit=500", user: "mallory"}); a.code != http.StatusOK {
		t.Errorf("a page is answered %d: %s", a.code, a.body)
	}
	if a := r.call(call{path: path("shop") + "?fieldSelector=metadata.name%3D" + names[0], user: "mallory"}); a.code != http.StatusOK {
		t.Errorf("a list of one name is answered %d: %s", a.code, a.body)
	}
	r.others(names)
}
