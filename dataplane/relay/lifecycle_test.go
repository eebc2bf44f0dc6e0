// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// story is what watchers are told: each change with its phase and upstream. It
// checks that the last one is what there is.
func (p *proxy) story() []string {
	p.t.Helper()
	into := make([]registry.Change, 500)
	n, _, err := p.registry.Changes(1, into)
	if err != nil {
		p.t.Fatal(err)
	}
	var lines []string
	for _, c := range into[:n] {
		d := c.Describe()
		phase := strings.TrimPrefix(d.GetPhase().String(), "PHASE_")
		lines = append(lines, strings.TrimSpace(c.Kind.String()+" "+phase+" "+d.GetUpstream()))
		if (d.GetPhase() == dataplanev1alpha1.Phase_PHASE_CLOSING) != (d.GetClosingSince() != nil) {
			p.t.Errorf("%v, closing since %v", d.GetPhase(), d.GetClosingSince())
		}
	}
	return lines
}

func address(b *backend) string { return strings.TrimPrefix(b.url, "ws://") }

// Messages are no change, however many; everything that a user waits for is one.
func TestALifeIsToldToTheRegistry(t *testing.T) {
	first, second := startBackend(t), startBackend(t)
	snap := snapshot(first.url)
	snap.Settings.AutoReconnect = true
	p := startProxy(t, snap)
	client := p.dial(nil)
	up := first.next(t)
	for range 100 {
		send(t, client, "up")
		receive(t, up, "up")
		send(t, up, "down")
		receive(t, client, "down")
	}
	want := []string{"Added CONNECTING", "Modified OPEN " + address(first)}
	if got := p.story(); !slices.Equal(got, want) {
		t.Errorf("open, after 200 messages: %q, want %q", got, want)
	}
	e := p.only()
	if d := e.Describe(); d.GetVersion() != int64(e.Stamp()) || d.GetUpstream() != address(first) {
		t.Errorf("its last change was at %d, it is %v", e.Stamp(), d)
	}

	// An upstream is lost, and another one is there.
	p.apply(func(s *dataplanev1alpha1.Snapshot) { s.Upstream.Url = second.url })
	cut(up)
	up = second.next(t)
	send(t, client, "held")
	receive(t, up, "held")
	want = append(want, "Modified RECONNECTING", "Modified OPEN "+address(second))
	if got := p.story(); !slices.Equal(got, want) {
		t.Errorf("reconnected: %q, want %q", got, want)
	}

	// It closes, and is told of at its end as it was.
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		echo(up)
		_ = up.Close()
	}()
	if err := client.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye")); err != nil {
		t.Fatal(err)
	}
	receiveClose(t, client, 1000)
	<-closed
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
	got := p.story()
	if !slices.Contains(got, "Modified CLOSING "+address(second)) || !strings.HasPrefix(got[len(got)-1], "Deleted CLOSING") {
		t.Errorf("closed: %q", got)
	}
	into := make([]registry.Change, 10)
	n, _, err := p.registry.Changes(1, into)
	if err != nil {
		t.Fatal(err)
	}
	if d := into[n-1].Describe(); d.GetFromClient().GetMessages() != 101 || d.GetReconnects() != 1 || d.GetSourceIp() != "127.0.0.1" || d.GetName() != e.ID().Name() {
		t.Errorf("its last state is %v", d)
	}
}

func TestAClientThatIsRefusedWasConnecting(t *testing.T) {
	backend := startBackend(t)
	backend.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	p := startProxy(t, snapshot(backend.url))
	if _, response, err := websocket.DefaultDialer.DialContext(t.Context(), p.url, nil); err == nil || response.StatusCode != http.StatusForbidden {
		t.Fatalf("answered %v, %v", response, err)
	}
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
	if got, want := p.story(), []string{"Added CONNECTING", "Deleted CONNECTING"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestADisconnectWhileConnectingIsTold(t *testing.T) {
	url, accepted := mute(t)
	p := startProxy(t, snapshot(url))
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _, _ = websocket.DefaultDialer.DialContext(t.Context(), p.url, nil)
	}()
	eventually(t, "the upstream is dialed", func() bool { return accepted.Load() == 1 })
	if err := p.only().Disconnect(registry.Disconnect{Code: 1000}); err != nil {
		t.Fatal(err)
	}
	<-answered
	eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
	if got, want := p.story(), []string{"Added CONNECTING", "Modified CLOSING", "Deleted CLOSING"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
