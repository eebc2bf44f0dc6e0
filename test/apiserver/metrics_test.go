// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"github.com/wsproxy/wsproxy/apiserver"
)

// metric is the value of a series, "" where there is none.
func (r *room) metric(series string) string {
	r.Helper()
	a := r.get("/metrics")
	if a.code != http.StatusOK {
		r.Fatalf("%d: %s", a.code, a.body)
	}
	if found := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(series) + " (.*)$").FindSubmatch(a.body); found != nil {
		return string(found[1])
	}
	return ""
}

func (r *room) metrics(want map[string]string) {
	r.Helper()
	for series, value := range want {
		r.until(fmt.Sprintf("%s is %s", series, value), func() bool { return r.metric(series) == value })
	}
}

func TestMetrics(t *testing.T) {
	r := newRoom(t, podTimeout(3*time.Second), func(c *apiserver.Config) { c.Changes.PerSecond, c.Changes.Burst = 0.001, 2 })
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(3)
	r.metrics(map[string]string{
		"wsproxy_api_pods":                               "1",
		"wsproxy_api_pod_streams":                        "0",
		"wsproxy_api_watches":                            "0",
		`wsproxy_api_watches_ended_total{reason="slow"}`: "0",
		`wsproxy_api_sends_total{outcome="in_doubt"}`:    "0",
	})

	one, other := r.watch("shop", withState), r.watch("shop", withState)
	one.wantState(names)
	other.wantState(names)
	r.metrics(map[string]string{"wsproxy_api_pod_streams": "1", "wsproxy_api_watches": "2"})
	other.stop()
	r.metrics(map[string]string{"wsproxy_api_watches": "1", `wsproxy_api_watches_ended_total{reason="client"}`: "1"})

	send := func(name, query string) int {
		return r.call(call{method: http.MethodPost, path: path("shop", name, "send") + query, body: `{"text":"hello"}`}).code
	}
	if got := []int{send(names[0], ""), send(names[0], "?dryRun=All"), send(p.unknown(), "")}; fmt.Sprint(got) != "[201 201 404]" {
		t.Errorf("sends are answered %v", got)
	}
	r.metrics(map[string]string{`wsproxy_api_sends_total{outcome="sent"}`: "1", `wsproxy_api_sends_total{outcome="refused"}`: "1"})
	for range 5 {
		r.call(call{method: http.MethodDelete, path: path("shop", names[1])})
	}
	r.metrics(map[string]string{`wsproxy_api_turned_back_total{limit="changes"}`: "3"})

	p.stop()
	for e := one.next(); e.Type != watch.Error; {
		e = one.next()
	}
	r.metrics(map[string]string{"wsproxy_api_watches": "0", `wsproxy_api_watches_ended_total{reason="silent"}`: "1"})
	if n := send(names[0], ""); n < 500 {
		t.Errorf("a send to a pod that is away is answered %d", n)
	}
	r.metrics(map[string]string{`wsproxy_api_sends_total{outcome="unanswered"}`: "1"})
	r.remove(p)
	r.metrics(map[string]string{"wsproxy_api_pods": "0", "wsproxy_api_pod_streams": "0"})
	if a := r.call(call{path: "/metrics", user: "nobody"}); a.code != http.StatusForbidden {
		t.Errorf("/metrics is answered %d to who may not read it", a.code)
	}
	if r.metric("apiserver_request_total") != "" || len(regexp.MustCompile(`(?m)^apiserver_request_total\{`).FindAll(r.get("/metrics").body, -1)) == 0 {
		t.Error("requests are not counted")
	}
}

// unknown is a name that the pod has not issued.
func (p *pod) unknown() string { return string(p.id) + "-vvvvvvvv" }
