// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubetesting "k8s.io/client-go/testing"
)

// unwatched makes a pod that the watch does not know while it is late.
func (r *room) unwatched() *pod {
	r.Helper()
	young := newPod("shop", "echo", "echo-young", someUID())
	young.serve(r.T, r.authority, r.port)
	r.create(young)
	return young
}

func TestAListWaitsForTheWatchOfPods(t *testing.T) {
	for _, query := range []string{"", "?limit=500", "?labelSelector=wsproxy.io/proxy%3Decho"} {
		r := newRoom(t)
		r.pod("shop", "echo", "echo-a").connect(1)
		r.late.Lock()
		young := r.unwatched()
		names := young.connect(3)
		before := r.lists("shop")
		answers := make(chan answer, 10)
		for range cap(answers) {
			go func() { answers <- r.get(path("shop") + query) }()
		}
		r.until("the pods are listed", func() bool { return r.lists("shop") > before })
		r.late.Unlock()
		for range cap(answers) {
			a := <-answers
			if got := namesOf(a.list()); len(got) != 4 || !slices.Contains(got, names[2]) || a.header.Get("Warning") != "" {
				t.Errorf("%q lists %d, warning %q", query, len(got), a.header.Get("Warning"))
			}
		}
		// Those who ask at the same time share one look, or the next.
		if n := r.lists("shop") - before; n > 5 {
			t.Errorf("%q: %d requests cost %d lists of pods", query, cap(answers), n)
		}
	}
}

func TestAListSaysThatTheWatchIsBehind(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	p.connect(2)
	r.late.Lock()
	defer r.late.Unlock()
	young := r.unwatched()
	young.connect(3)
	a := r.get(path("shop"))
	if l := a.list(); len(l.Items) != 2 || !strings.Contains(a.header.Get("Warning"), "connections of new data-plane pods may be missing: the watch of data-plane pods is behind") {
		t.Errorf("lists %d, warning %q", len(l.Items), a.header.Get("Warning"))
	}
	s := r.endAll("").refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	if !strings.Contains(s.Message, "2 connections are closing, but there may be more") || len(p.ended()) != 2 {
		t.Errorf("ended %d: %s", len(p.ended()), s.Message)
	}
}

func TestAListWithoutTheKubeAPIServer(t *testing.T) {
	r := newRoom(t)
	r.pod("shop", "echo", "echo-a").connect(2)
	r.kube.PrependReactor("list", "pods", func(kubetesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("dial tcp 10.96.0.1:443: connect: connection refused")
	})
	a := r.get(path("shop"))
	warning := a.header.Get("Warning")
	if l := a.list(); len(l.Items) != 2 || !strings.Contains(warning, "the kube-apiserver does not say which data-plane pods there are") || strings.Contains(warning, "10.96") {
		t.Errorf("lists %d, warning %q", len(l.Items), warning)
	}
}
