// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/watch"
)

// What runs for each who watches, for each stream of a pod that a server follows, and
// for each stream that a pod serves.
const (
	watchers = "connections.(*watcher).run"
	streams  = "fleet.(*hub).follow"
	served   = "control.(*watch).serve"
)

// running counts the goroutines that run a function.
func running(t *testing.T, function string) int {
	t.Helper()
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	return strings.Count(stacks.String(), function+"(")
}

// sluggish begins a watch and reads nothing of what it says. The kernel takes little
// for it.
func (r *room) sluggish(namespace, query string) (net.Conn, *bufio.Reader) {
	r.Helper()
	server, err := url.Parse(r.url)
	if err != nil {
		r.Fatal(err)
	}
	dialer := &net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 16<<10)
		})
		if err == nil {
			err = failed
		}
		return err
	}}
	conn, err := dialer.DialContext(r.Context(), "tcp", server.Host)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET %s?%s HTTP/1.1\r\nHost: %s\r\nX-Test-User: sid\r\n\r\n", path(namespace), query, server.Host); err != nil {
		r.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// Who does not read keeps nobody waiting and is cut off; what he has not been told by
// then is not kept for him.
func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	const changes = 20_000
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	good := r.watch("shop", withState)
	good.wantState([]string{name})
	_, unread := r.sluggish("shop", withState)
	r.until("he watches too", func() bool { return running(t, watchers) == 2 })
	upstream := func(n int) string { return fmt.Sprintf("10.0.0.7:%d", n) }
	change := func(from, to int) {
		for n := from; n < to; n++ {
			p.report(name, phaseOpen, upstream(n))
		}
		for n := from; n < to; {
			e := good.next()
			if e.Type == watch.Bookmark {
				continue
			}
			if c := e.connection(t); e.Type != watch.Modified || c.Status.Upstream != upstream(n) {
				t.Fatalf("%s %s after change %d", e.Type, c.Status.Upstream, n)
			}
			n++
		}
	}
	for n := 0; n < changes; n += 1000 {
		change(n, n+1000)
	}
	r.until("he is cut off", func() bool { return running(t, watchers) == 1 })
	change(changes, changes+1000)

	// What had been sent to him comes in order, and then the end.
	response, err := http.ReadResponse(unread, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	heard := 0
	for decoder := json.NewDecoder(response.Body); ; {
		var e event
		if err := decoder.Decode(&e); err != nil {
			break
		}
		if e.Type != watch.Modified {
			continue
		}
		if c := e.connection(t); c.Status.Upstream != upstream(heard) {
			t.Fatalf("%s after %d changes", c.Status.Upstream, heard)
		}
		heard++
	}
	t.Logf("he was told %d of %d changes", heard, changes)
	if heard == 0 || heard >= changes {
		t.Errorf("he was told %d of %d changes", heard, changes)
	}
}

// The hundreds who watch and go leave nothing: no goroutine, no stream of a pod.
func TestThoseWhoWatchedLeaveNothing(t *testing.T) {
	r := newRoom(t, podTimeout(patience)) // However many ask at a time.
	a, b := r.pod("shop", "echo", "echo-a"), r.pod("shop", "echo", "echo-b")
	a.connect(20)
	b.connect(20)
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	// visit begins a watch, reads as long as it takes to be told what there is, and goes.
	visit := func(query string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path("shop")+"?"+query, nil)
		if err != nil {
			return err
		}
		request.Header.Set("X-Test-User", "alice")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		// On a busy machine a second may be over before a watch has begun.
		if late := response.StatusCode == http.StatusGatewayTimeout && strings.Contains(query, "timeoutSeconds"); response.StatusCode != http.StatusOK && !late {
			return fmt.Errorf("%s: %s", query, response.Status)
		}
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if strings.Contains(lines.Text(), initialEnded) {
				break
			}
		}
		return nil
	}
	wave := func(n int) {
		t.Helper()
		done := make(chan error)
		for i := range n {
			query := withState
			switch i % 3 {
			case 1: // It ends by itself.
				query = fromNow + "&timeoutSeconds=1"
			case 2:
				query += "&fieldSelector=spec.sourceIP%3D192.0.2.2"
			}
			go func() { done <- visit(query) }()
		}
		for range n {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	gone := func() {
		t.Helper()
		for _, what := range []string{watchers, streams, served, "fleet.(*hub).join"} {
			r.until(what+" is over", func() bool { return running(t, what) == 0 })
		}
		transport.CloseIdleConnections()
	}
	wave(20)
	if n := running(t, streams); n > 2 {
		t.Errorf("%d streams of 2 pods are followed", n)
	}
	gone()
	before := pprof.Lookup("goroutine").Count()
	for range 3 {
		wave(100)
	}
	gone()
	r.until("no goroutine is left", func() bool { return pprof.Lookup("goroutine").Count() <= before+10 })
}
