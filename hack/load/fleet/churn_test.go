// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// visited is a server that knows who is there.
type visited struct {
	url string

	mu sync.Mutex
	// there, guarded by mu, are the connections by name; names counts them.
	there map[string]*websocket.Conn
	names int
}

func newVisited(t *testing.T) *visited {
	t.Helper()
	v := &visited{there: map[string]*websocket.Conn{}}
	server := httptest.NewServer(http.HandlerFunc(v.serve))
	v.url = "ws" + strings.TrimPrefix(server.URL, "http")
	t.Cleanup(server.Close)
	return v
}

func (v *visited) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	v.names++
	name := fmt.Sprintf("pod-a-%d", v.names)
	upgrader := websocket.Upgrader{}
	conn, err := upgrader.Upgrade(w, r, http.Header{HeaderConnectionID: {name}})
	if err == nil {
		v.there[name] = conn
	}
	v.mu.Unlock()
	if err != nil {
		return
	}
	defer conn.Close()
	// It is gone before the client is told that it is.
	conn.SetCloseHandler(func(code int, _ string) error {
		v.mu.Lock()
		delete(v.there, name)
		v.mu.Unlock()
		return conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
	})
	_, _, _ = conn.ReadMessage()
}

func (v *visited) open() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.there))
}

func TestTheRecordOfThoseWhoComeAndGo(t *testing.T) {
	v := newVisited(t)
	c, err := StartChurn(t.Context(), ChurnOptions{Options: Options{URL: v.url, Connections: 20}, PerSecond: 400})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	for round := range 5 {
		for before := c.Totals().Left; c.Totals().Left < before+20; time.Sleep(time.Millisecond) {
		}
		c.Hold()
		got, want := slices.Sorted(maps.Keys(c.Open())), v.open()
		if !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("round %d: the clients are %v, the server has %v", round, got, want)
		}
		// Who is thrown out is not there, and stays away for as long as all are held.
		v.mu.Lock()
		v.there[want[0]].Close()
		delete(v.there, want[0])
		v.mu.Unlock()
		for len(c.Open()) != len(want)-1 {
			time.Sleep(time.Millisecond)
		}
		c.Resume()
	}
	c.Stop()
	totals := c.Totals()
	if totals.Lost != 5 || totals.Came != totals.Left+totals.Lost || totals.Refused != 0 || len(c.Open()) > 0 {
		t.Errorf("%+v, and %d are there", totals, len(c.Open()))
	}
}

func TestThoseWhoAreRefusedComeAgain(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c, err := StartChurn(t.Context(), ChurnOptions{Options: Options{URL: "ws" + strings.TrimPrefix(server.URL, "http"), Connections: 2}, PerSecond: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	for c.Totals().Refused < 10 {
		time.Sleep(time.Millisecond)
	}
	if totals := c.Totals(); totals.Came > 0 || len(c.Open()) > 0 {
		t.Errorf("%+v", totals)
	}
}

func TestChurnThatCannotBe(t *testing.T) {
	for _, options := range []ChurnOptions{
		{Options: Options{URL: "ws://127.0.0.1", Connections: 1}},
		{Options: Options{URL: "ws://127.0.0.1", Connections: 1}, PerSecond: 20000},
		{Options: Options{URL: "ws://127.0.0.1"}, PerSecond: 1},
		{Options: Options{URL: "http://127.0.0.1", Connections: 1}, PerSecond: 1},
	} {
		if c, err := StartChurn(t.Context(), options); err == nil {
			c.Stop()
			t.Errorf("%+v is taken", options)
		}
	}
}
