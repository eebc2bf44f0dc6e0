// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/wsproxy/wsproxy/apiserver"
)

// What is too much to be in memory at once is refused with the way that there is.
func TestWhatIsTooLargeIsListedInPages(t *testing.T) {
	r := newRoom(t, func(c *apiserver.Config) { c.ListMemory = 1 << 20 })
	a, b := r.pod("shop", "echo", "echo-a"), r.pod("shop", "echo", "echo-b")
	want := sorted(a.connect(600), b.connect(400))
	few := sorted(r.pod("other", "echo", "echo-c").connect(50))
	for _, accept := range []string{"", asTable, "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"} {
		for _, query := range []string{"", "?limit=1000", "?resourceVersion=0", "?labelSelector=wsproxy.io/pod%3Decho-a"} {
			s := r.call(call{path: path("shop") + query, accept: accept}).refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
			if !strings.Contains(s.Message, "--chunk-size") {
				t.Errorf("%q: %s", query, s.Message)
			}
		}
		// An informer that is told so lists in pages.
		r.call(call{path: path("shop") + "?resourceVersion=5", accept: accept}).refusal(http.StatusGone, metav1.StatusReasonExpired, "")
	}
	s := r.get(path("shop")+"?"+withState).refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
	if !strings.Contains(s.Message, "resourceVersion of the list") {
		t.Error(s.Message)
	}
	// Everything else goes on, also for the same user: nothing is held any more.
	if got, _ := r.pages(path("shop"), 50); !slices.Equal(got, want) {
		t.Errorf("pages have %d", len(got))
	}
	if got := namesOf(r.get(path("other")).list()); !slices.Equal(got, few) {
		t.Errorf("a list has %d", len(got))
	}
	if got := namesOf(r.get(path("shop") + "?fieldSelector=spec.sourceIP%3D192.0.2.7").list()); len(got) == 0 {
		t.Error("those of one client are not listed")
	}
	r.watch("shop", fromNow)
	r.watch("other", withState).wantState(few)
	r.metrics(map[string]string{`wsproxy_api_turned_back_total{limit="list_memory"}`: "0"})

	a.end(ending("Client", "ClientClose", 1000, ""), slices.Collect(func(yield func(string) bool) {
		for name := range a.entries {
			if !yield(name) {
				return
			}
		}
	})...)
	r.get(closedPath("shop")).refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
	if l := r.call(call{method: http.MethodDelete, path: path("shop")}).list(); len(l.Items) != 400 {
		t.Errorf("a collection of %d", len(l.Items))
	}
}

// Informers that cannot begin with all that there is find the way by themselves.
func TestInformersOfMoreThanIsListedAtOnce(t *testing.T) {
	r := newRoom(t, func(c *apiserver.Config) { c.ListMemory = 4 << 20 })
	p := r.pod("shop", "echo", "echo-a")
	p.connect(3000)
	r.get(path("shop")+"?"+withState).refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
	i := informer(t, &rest.Config{Host: r.url, Transport: anyOf{r.url}}, "shop")
	r.until("it has all", func() bool { return len(i.GetStore().ListKeys()) == 3000 })
	p.connect(1)
	r.until("it is told of another one", func() bool { return len(i.GetStore().ListKeys()) == 3001 })
	if !cache.WaitForCacheSync(t.Context().Done(), i.HasSynced) {
		t.Error("it is not synchronized")
	}
	if i.LastSyncResourceVersion() == "" {
		t.Error("it has no version")
	}
}
