// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func sorted(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return all
}

func TestAThousandConnectionsAreListedOnceEach(t *testing.T) {
	r := newRoom(t)
	want := sorted(r.pod("shop", "echo", "echo-a").connect(600), r.pod("shop", "echo", "echo-b").connect(400))
	r.pod("other", "echo", "echo-c").connect(10)
	if got := namesOf(r.get(path("shop")).list()); !slices.Equal(got, want) {
		t.Errorf("listed %d, want %d, in the order of their names", len(got), len(want))
	}
	if got := namesOf(r.get(path("")).list()); len(got) != 1010 || !slices.IsSorted(got) {
		t.Errorf("listed %d in all namespaces, sorted: %v", len(got), slices.IsSorted(got))
	}
	for _, size := range []int{1, 100, 400, 600, 999, 1000, 1001} {
		if size == 1 && testing.Short() {
			continue
		}
		got, pages := r.pages(path("shop"), size)
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d have %d", size, len(got))
		}
		if most := (1000 + size - 1) / size; pages > most {
			t.Errorf("%d pages of %d, want %d", pages, size, most)
		}
	}
}

// pages lists in pages of a size.
func (r *room) pages(path string, size int) (names []string, pages int) {
	r.Helper()
	token, version := "", ""
	for {
		l := r.get(fmt.Sprintf("%s?limit=%d&continue=%s", path, size, url.QueryEscape(token))).list()
		if len(l.Items) > size {
			r.Fatalf("%d on a page of %d", len(l.Items), size)
		}
		if n, err := strconv.ParseUint(l.ResourceVersion, 10, 63); err != nil || n == 0 {
			r.Fatalf("resourceVersion %q", l.ResourceVersion)
		}
		if version != "" && l.ResourceVersion != version {
			r.Fatalf("resourceVersion %s after %s", l.ResourceVersion, version)
		}
		names, token, version = append(names, namesOf(l)...), l.Continue, l.ResourceVersion
		pages++
		if token == "" {
			return names, pages
		}
	}
}

func TestPagesAreStableWhileOthersComeAndGo(t *testing.T) {
	r := newRoom(t)
	a, b := r.pod("shop", "echo", "echo-a"), r.pod("shop", "echo", "echo-b")
	var stay, leave []string
	for _, p := range []*pod{a, b} {
		for i, name := range p.connect(100) {
			if i%2 == 0 {
				stay = append(stay, name)
			} else {
				leave = append(leave, name)
			}
		}
	}
	slices.Sort(stay)
	var got []string
	token := ""
	for {
		l := r.get(path("shop") + "?limit=7&continue=" + token).list()
		got = append(got, namesOf(l)...)
		if token = l.Continue; token == "" {
			break
		}
		for range min(8, len(leave)) {
			name := leave[0]
			leave = leave[1:]
			for _, p := range []*pod{a, b} {
				if e := p.entries[name]; e != nil {
					p.registry.Remove(e)
				}
			}
		}
		a.connect(1)
		r.pod("shop", "echo", fmt.Sprintf("echo-%d", len(got))).connect(1)
	}
	seen := map[string]int{}
	for _, name := range got {
		seen[name]++
		if seen[name] > 1 {
			t.Errorf("%s is listed twice", name)
		}
	}
	for _, name := range stay {
		if seen[name] != 1 {
			t.Errorf("%s stays and is listed %d times", name, seen[name])
		}
	}
}

func TestSelectors(t *testing.T) {
	r := newRoom(t)
	a, b, c := r.pod("shop", "echo", "echo-a"), r.pod("shop", "chat", "chat-a"), r.pod("other", "echo", "echo-b")
	inA, inB, inC := a.connect(20), b.connect(10), c.connect(5)
	r.call(call{method: http.MethodDelete, path: path("shop", inA[3])}).object(http.StatusOK)
	for _, s := range []struct {
		namespace, labels, fields string
		want                      []string
	}{
		{"shop", "wsproxy.io/proxy=echo", "", inA},
		{"shop", "wsproxy.io/proxy!=echo", "", inB},
		{"shop", "wsproxy.io/proxy in (echo,chat)", "", append(inA, inB...)},
		{"shop", "wsproxy.io/pod=chat-a", "", inB},
		{"shop", "wsproxy.io/pod=echo-b", "", nil},
		{"", "wsproxy.io/proxy=echo", "", append(inA, inC...)},
		{"shop", "app=chat", "", nil},
		{"shop", "!app", "", append(inA, inB...)},
		{"shop", "", "spec.proxy=chat", inB},
		{"shop", "", "spec.proxy!=chat", inA},
		{"", "", "metadata.namespace=other", inC},
		{"", "", "spec.pod=echo-b", inC},
		{"shop", "", "spec.sourceIP=192.0.2.7", []string{inA[7], inA[17], inB[7]}},
		{"shop", "", "spec.client.sourceIP=192.0.2.7,spec.proxy=echo", []string{inA[7], inA[17]}},
		{"shop", "", "status.phase=Closing", inA[3:4]},
		{"shop", "wsproxy.io/proxy=echo", "status.phase!=Open", inA[3:4]},
		{"shop", "", "metadata.name=" + inB[4], inB[4:5]},
		{"", "", "metadata.name=" + inC[4], inC[4:5]},
		{"shop", "", "metadata.name=" + inC[4], nil},
		{"shop", "wsproxy.io/proxy=echo", "metadata.name=" + inB[4], nil},
		{"shop", "", "metadata.name=chat", nil},
		{"shop", "", "metadata.name!=" + inB[0] + ",spec.proxy=chat", inB[1:]},
	} {
		t.Run(s.namespace+" "+s.labels+" "+s.fields, func(t *testing.T) {
			in := *r
			in.T = t
			query := "?labelSelector=" + url.QueryEscape(s.labels) + "&fieldSelector=" + url.QueryEscape(s.fields)
			if got := namesOf(in.get(path(s.namespace) + query).list()); !slices.Equal(got, sorted(s.want)) {
				t.Errorf("listed %v, want %v", got, sorted(s.want))
			}
			var got []string
			token := ""
			for {
				l := in.get(path(s.namespace) + query + "&limit=2&continue=" + token).list()
				got = append(got, namesOf(l)...)
				if token = l.Continue; token == "" {
					break
				}
			}
			if !slices.Equal(got, sorted(s.want)) {
				t.Errorf("pages list %v, want %v", got, sorted(s.want))
			}
		})
	}
}

func TestAddressesAreSelectedHoweverTheyAreWritten(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(3)
	p.connections[names[0]].sourceIP = "2001:db8::1"
	p.connections[names[1]].sourceIP = "::ffff:192.0.2.77"
	for address, want := range map[string][]string{
		"2001:db8::1": names[:1], "2001:0DB8:0:0:0:0:0:1": names[:1],
		"192.0.2.77": names[1:2], "::ffff:192.0.2.77": names[1:2], "::ffff:c000:24d": names[1:2],
		"192.0.2.2": names[2:], "2001:db8::2": {},
	} {
		if got := namesOf(r.get(path("shop") + "?fieldSelector=" + url.QueryEscape("spec.sourceIP="+address)).list()); !slices.Equal(got, want) {
			t.Errorf("%s selects %v, want %v", address, got, want)
		}
	}
	for _, wrong := range []string{"192.0.2.", "chat", ""} {
		r.get(path("shop")+"?fieldSelector="+url.QueryEscape("spec.sourceIP="+wrong)).refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
	}
}

func TestListsThatCannotBe(t *testing.T) {
	r := newRoom(t)
	r.pod("shop", "echo", "echo-a").connect(1)
	for query, want := range map[string]int{
		"fieldSelector=spec.path%3D/":                         http.StatusBadRequest,
		"fieldSelector=status.phase%3Dopen":                   http.StatusBadRequest,
		"fieldSelector=status.phase!%3Dopen":                  http.StatusBadRequest,
		"watch=1&fieldSelector=status.phase%3Dopen":           http.StatusBadRequest,
		"fieldSelector=status.phase%3DOpen":                   http.StatusOK,
		"continue=%21":                                        http.StatusBadRequest,
		"continue=e30":                                        http.StatusBadRequest,
		"continue=eyJhZnRlciI6IngiLCJydiI6MX0":                http.StatusBadRequest,
		"resourceVersion=yesterday":                           http.StatusBadRequest,
		"resourceVersion=5&resourceVersionMatch=Exact":        http.StatusGone,
		"resourceVersion=5":                                   http.StatusOK,
		"resourceVersion=0":                                   http.StatusOK,
		"resourceVersion=5&resourceVersionMatch=NotOlderThan": http.StatusOK,
		"limit=-1": http.StatusOK,
	} {
		if got := r.get(path("shop") + "?" + query); got.code != want {
			t.Errorf("%s: %d, want %d: %s", query, got.code, want, got.body)
		}
	}
	var status metav1.Status
	r.get(path("shop")+"?continue=AA").into(http.StatusBadRequest, &status)
	if status.Reason != metav1.StatusReasonBadRequest {
		t.Errorf("%+v", status)
	}
}
