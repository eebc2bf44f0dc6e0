// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"
)

func TestWhatIsNotAsPromisedIsSaid(t *testing.T) {
	for want, change := range map[string]func(*findings){
		"":                                 func(*findings) {},
		"CPU in the window, s: 2.00 times": func(f *findings) { f.windows[0].cpu *= 2 },
		"CPU until then, s: 2.00 times":    func(f *findings) { f.windows[0].start *= 2 },
		"s: 2.00 times as much with connections, where 1.50": func(f *findings) { f.windows[0].cpu, f.windows[0].other = 2*time.Second, 3*time.Second/2 },
		"PSS at its end, MiB: 1.50 times":                    func(f *findings) { f.windows[0].pss = f.windows[0].pss * 3 / 2 },
		"heap in use, MiB: 1.50 times":                       func(f *findings) { f.windows[0].heap = f.windows[0].heap * 3 / 2 },
		"monitors were not synced 1 times":                   func(f *findings) { f.windows[3].failures = 1 },
		"gone after 20.001s, the promise is":                 func(f *findings) { f.deletions[0].gone = promised + time.Millisecond },
	} {
		f := &findings{options: options{connections: 50_000, growth: 1.2}, deletions: []deletion{{gone: promised}}}
		for _, own := range []bool{true, false} {
			for _, n := range []int{50_000, 0} {
				f.windows = append(f.windows, window{connections: n, ownCredentials: own, start: time.Second, cpu: time.Second, otherStart: time.Second, other: time.Second, pss: 100, heap: 100})
			}
		}
		change(f)
		err := f.check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("check says %v, want %q", err, want)
		}
		if text := f.String(); !strings.Contains(text, "gone after 20.0 s") || !strings.Contains(text, ownAccounts+"=false") {
			t.Error(text)
		}
	}
}

func TestTheGarbageCollectorHasBegunWhenItSaysSo(t *testing.T) {
	const (
		watched = `I1122 11:00:00.1 1 graph_builder.go:230] "using a shared informer" resource="connections.wsproxy.io/v1alpha1, Resource=websocketconnections" kind="connections.wsproxy.io/v1alpha1, Kind=WebSocketConnection"` + "\n"
		other   = `I1122 11:00:00.1 1 graph_builder.go:230] "using a shared informer" resource="/v1, Resource=pods" kind="/v1, Kind=Pod"` + "\n"
		all     = `I1122 11:00:01.1 1 garbagecollector.go:166] "Garbage collector: all resource monitors have synced" logger="garbage-collector-controller"` + "\n"
		not     = `I1122 11:00:31.1 1 garbagecollector.go:164] "Garbage collector: not all resource monitors could be synced, proceeding anyways"` + "\n"
	)
	for log, ready := range map[string]bool{
		"": false, watched: false, watched + other + all: true, other + all: false, watched + not: false,
	} {
		if err := synced([]byte(log)); (err == nil) != ready {
			t.Errorf("%q: %v", log, err)
		}
	}
}

func TestAMetricIsReadFromAPage(t *testing.T) {
	page := "# TYPE go_memstats_heap_inuse_bytes gauge\ngo_memstats_heap_inuse_bytes 3.2e+07\ngo_memstats_heap_inuse_bytes_more 1\n"
	if v, err := metric(page, "go_memstats_heap_inuse_bytes"); err != nil || v != 3.2e7 {
		t.Errorf("%v, %v", v, err)
	}
	if _, err := metric(page, "heap_inuse_bytes"); err == nil {
		t.Error("a metric that is not there was found")
	}
}

func TestNoPodHasMoreConnectionsThanFiles(t *testing.T) {
	for connections, pods := range map[int]int{1: 1, perPod: 1, perPod + 1: 2, 50_000: 7} {
		if o := (options{connections: connections}); o.pods() != pods {
			t.Errorf("%d connections: %d pods, want %d", connections, o.pods(), pods)
		}
	}
}
