// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// podAmong is one whose connections are listed before those of a pod, or after.
func podAmong(after bool, other *pod, namespace, proxy, name string) *pod {
	for {
		uid := someUID()
		if prefix := dataplanev1alpha1.PodPrefix(string(uid)); prefix > string(other.id) == after && prefix != string(other.id) {
			return newPod(namespace, proxy, name, uid)
		}
	}
}

// Whatever page a pod that hangs is on, the first one knows, and every one says so.
func TestEveryPageSaysWhatTheListLacks(t *testing.T) {
	for _, last := range []bool{false, true} {
		r := newRoom(t, podTimeout(2*time.Second))
		p := r.pod("shop", "echo", "echo-a")
		want := p.connect(20)
		silent := podAmong(last, p, "shop", "echo", "echo-silent")
		silent.hang(t, r.authority, r.port)
		r.add(silent)
		var got []string
		var token, warning, version string
		for {
			a := r.get(fmt.Sprintf("%s?limit=6&continue=%s", path("shop"), url.QueryEscape(token)))
			l := a.list()
			if w := a.header.Get("Warning"); !strings.Contains(w, "1 data-plane pod did not answer, its connections are missing: shop/echo-silent") || warning != "" && w != warning {
				t.Errorf("a page after %d warns %q, the one before %q", len(got), w, warning)
			}
			if named := l.Annotations[connectionsv1alpha1.AnnotationUnansweredPods]; named != "shop/echo-silent" {
				t.Errorf("a page after %d names %q", len(got), named)
			}
			got, token, warning, version = append(got, namesOf(l)...), l.Continue, a.header.Get("Warning"), l.ResourceVersion
			if token == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("lists %d of %d", len(got), len(want))
		}
		r.get(path("shop")+"?watch=1&resourceVersion="+version).refusal(http.StatusGone, metav1.StatusReasonExpired, "")
	}
}

func TestPagesOfManyPodsThatHang(t *testing.T) {
	r := newRoom(t, podTimeout(2*time.Second))
	p := r.pod("shop", "echo", "echo-a")
	want := p.connect(20)
	for i := range 9 {
		silent := podAmong(i%2 == 0, p, "shop", "echo", fmt.Sprintf("silent-%d", i))
		silent.hang(t, r.authority, r.port)
		r.add(silent)
	}
	got, token := []string{}, ""
	for {
		a := r.get(path("shop") + "?limit=7&continue=" + url.QueryEscape(token))
		l := a.list()
		if w := a.header.Get("Warning"); !strings.Contains(w, "9 data-plane pods did not answer") || !strings.Contains(w, "and 4 more") {
			t.Errorf("a page after %d warns %q", len(got), w)
		}
		if got, token = append(got, namesOf(l)...), l.Continue; token == "" {
			break
		}
		if len(token) > 500 {
			t.Errorf("a token of %d characters", len(token))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("lists %d of %d", len(got), len(want))
	}
}

// Once a version was given out from which a watch may go on, nothing may be missing.
func TestAPodThatFallsSilentWithinAListIsWaitedFor(t *testing.T) {
	r := newRoom(t, podTimeout(2*time.Second))
	p := r.pod("shop", "echo", "echo-a")
	q := podAmong(true, p, "shop", "echo", "echo-b")
	want := append(p.connect(5), q.connect(5)...)
	q.serve(t, r.authority, r.port)
	r.add(q)
	l := r.get(path("shop") + "?limit=3").list()
	got, version := namesOf(l), l.ResourceVersion
	q.stop()
	q.hang(t, r.authority, r.port)
	a := r.get(path("shop") + "?limit=10&continue=" + url.QueryEscape(l.Continue))
	a.refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	if a.header.Get("Retry-After") == "" || !strings.Contains(string(a.body), "shop/echo-b") {
		t.Errorf("Retry-After %q: %s", a.header.Get("Retry-After"), a.body)
	}
	q.stop()
	q.serve(t, r.authority, r.port)
	r.until("the list goes on", func() bool {
		a = r.get(path("shop") + "?limit=10&continue=" + url.QueryEscape(l.Continue))
		return a.code == http.StatusOK
	})
	if l = a.list(); l.ResourceVersion != version || !slices.Equal(append(got, namesOf(l)...), want) || a.header.Get("Warning") != "" {
		t.Errorf("version %s after %s, %d, warning %q", l.ResourceVersion, version, len(l.Items), a.header.Get("Warning"))
	}
}

// Ends are not undone, so a collection is gone through to its end, whoever is silent.
func TestACollectionOfManyPagesWithAPodThatHangs(t *testing.T) {
	r := newRoom(t, podTimeout(2*time.Second))
	p := r.pod("shop", "echo", "echo-a")
	p.connect(1200)
	silent := podAmong(true, p, "shop", "echo", "echo-silent")
	silent.hang(t, r.authority, r.port)
	r.add(silent)
	s := r.endAll("").refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	if !strings.Contains(s.Message, "1200 connections are closing, but 1 data-plane pods did not answer: shop/echo-silent") || len(p.ended()) != 1200 {
		t.Errorf("ended %d: %s", len(p.ended()), s.Message)
	}
}
