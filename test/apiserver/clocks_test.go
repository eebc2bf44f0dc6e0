// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/wsproxy/wsproxy/apiserver"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// record is what a server logs.
type record struct {
	mu sync.Mutex
	// said is guarded by mu.
	said []string
}

func (l *record) into(c *apiserver.Config) {
	c.Fleet.Logger = funcr.New(func(_, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.said = append(l.said, args)
	}, funcr.Options{})
}

// says counts the lines that have all of that.
func (l *record) says(all ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.said {
		has := true
		for _, text := range all {
			has = has && strings.Contains(line, text)
		}
		if has {
			n++
		}
	}
	return n
}

// now fails unless a version is one of now: no clock has been driven on.
func (r *room) now(version string) {
	r.Helper()
	n, err := strconv.ParseInt(version, 10, 64)
	if ahead := time.Until(time.UnixMicro(n)); err != nil || ahead > 10*time.Second || ahead < -time.Hour/2 {
		r.Errorf("version %s is %v ahead", version, ahead)
	}
}

// A pod whose clock is wrong is listed and reported. Nobody can watch it, and nobody
// else notices.
func TestAPodWhoseClockIsWrong(t *testing.T) {
	for what, is := range map[string]struct {
		off  time.Duration
		says string
	}{
		"an hour ahead":  {time.Hour, "says that it is later than it can be"},
		"an hour behind": {-time.Hour, "does not follow the clock of this server"},
	} {
		t.Run(what, func(t *testing.T) {
			log := &record{}
			r := newRoom(t, podTimeout(time.Second), log.into)
			good := r.pod("shop", "echo", "echo-a")
			names := good.connect(3)
			shop, all := r.watch("shop", withState), r.watch("", withState)
			shop.wantState(names)
			all.wantState(names)

			wrong := newPod("other", "echo", "echo-b", someUID())
			wrong.registry = registry.NewWith(wrong.id, registry.Options{Now: func() time.Time { return time.Now().Add(is.off) }})
			theirs := wrong.connect(2)
			wrong.serve(r.T, r.authority, r.port)
			r.add(wrong)
			r.until("it is reported", func() bool {
				a := r.get(path("other"))
				if l := a.list(); len(l.Items) != 2 || l.ResourceVersion != "1" {
					t.Fatalf("lists %d at %s", len(l.Items), l.ResourceVersion)
				}
				return log.says("other/echo-b", is.says) > 0
			})
			r.get(path("other", theirs[0])).object(http.StatusOK)
			for _, namespace := range []string{"other", ""} {
				l := r.get(path(namespace)).list()
				r.get(path(namespace)+"?watch=1&resourceVersion="+l.ResourceVersion).refusal(http.StatusGone, metav1.StatusReasonExpired, "")
				r.get(path(namespace)+"?"+withState).refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
			}

			// Everybody else goes on, from versions of now.
			version := r.get(path("shop")).list().ResourceVersion
			r.now(version)
			resumed := r.watch("shop", "watch=1&resourceVersion="+version)
			begun := r.watch("shop", withState)
			begun.wantState(names)
			young := good.connect(1)[0]
			for _, w := range []*watching{shop, all, begun} {
				r.now(w.want(watch.Added, young).ResourceVersion)
			}
			for c := resumed.next().connection(t); c.Name != young; c = resumed.next().connection(t) {
				r.now(c.ResourceVersion) // What is known may be said again.
			}
			r.now(strconv.FormatInt(int64(good.registry.Clock().Now()), 10))
			if n := log.says("echo-a"); n > 0 {
				t.Errorf("%d lines are about the pod whose clock is right", n)
			}
		})
	}
}

// What a client sends moves no clock.
func TestAVersionFromTheFutureHarmsNobodyElse(t *testing.T) {
	const future = "9223372036854775807"
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(3)
	w := r.watch("shop", withState)
	w.wantState(names)
	for _, query := range []string{
		"watch=1&resourceVersion=" + future,
		withState + "&resourceVersion=" + future,
		"resourceVersion=" + future,
		"resourceVersion=" + future + "&resourceVersionMatch=NotOlderThan&limit=2",
	} {
		r.call(call{path: path("shop") + "?" + query, user: "mallory"}).refusal(http.StatusGone, metav1.StatusReasonExpired, "")
	}
	l := r.get(path("shop")).list()
	r.now(l.ResourceVersion)
	young := p.connect(1)[0]
	r.now(w.want(watch.Added, young).ResourceVersion)
	r.now(strconv.FormatInt(int64(p.registry.Clock().Now()), 10))
	resumed := r.watch("shop", "watch=1&resourceVersion="+l.ResourceVersion)
	for c := resumed.next().connection(t); c.Name != young; c = resumed.next().connection(t) {
		r.now(c.ResourceVersion)
	}
}
