// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// says sends a text to a client beside what its upstream says.
func says(t *testing.T, entry *registry.Entry, text string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return entry.Send(ctx, registry.Send{Payload: []byte(text)})
}

// withdrawn is a send whose time is over at once.
func withdrawn(t *testing.T, entry *registry.Entry, text string) error {
	t.Helper()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	return entry.Send(over, registry.Send{Payload: []byte(text)})
}

// opened waits until the proxy knows that the client was let in, which may be a
// moment after the client does.
func (p *proxy) opened() {
	p.t.Helper()
	eventually(p.t, "it is open", func() bool { return p.phase() == dataplanev1alpha1.Phase_PHASE_OPEN })
}

func TestASentMessageReachesAClientThatIsSilent(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	backend.next(t)
	p.opened()
	entry := p.only()
	if err := says(t, entry, "hello"); err != nil {
		t.Fatal(err)
	}
	receive(t, client, "hello")
	payload := bytes.Repeat([]byte{0xff, 0}, core.MaxSend/2)
	if err := entry.Send(t.Context(), registry.Send{Binary: true, Payload: payload}); err != nil {
		t.Fatal(err)
	}
	if kind, got, err := client.ReadMessage(); err != nil || kind != websocket.BinaryMessage || !bytes.Equal(got, payload) {
		t.Errorf("%d bytes of type %d, %v", len(got), kind, err)
	}
	if err := entry.Send(t.Context(), registry.Send{Payload: []byte("not this"), DryRun: true}); err != nil {
		t.Error(err)
	}
	if err := says(t, entry, ""); err != nil {
		t.Error(err)
	}
	receive(t, client, "")
	if c := entry.Describe(); c.FromUpstream.Messages != 0 {
		t.Errorf("they count as the upstream's: %v", c.FromUpstream)
	}
}

// Four senders and the upstream talk at the same time, the upstream in fragments,
// with and without compression.
func TestSentMessagesComeWholeOnceAndInOrderBesideTheUpstreams(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		t.Run(fmt.Sprint("compressed ", compressed), func(t *testing.T) {
			const senders, each = 4, 100
			backend := startBackend(t)
			p := startProxy(t, snapshot(backend.url))
			dialer := websocket.Dialer{EnableCompression: compressed, Proxy: http.ProxyFromEnvironment}
			client, _, err := dialer.DialContext(t.Context(), p.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			up := backend.next(t)
			p.opened()
			entry := p.only()
			stop := make(chan struct{})
			var all, upstream sync.WaitGroup
			said := 0
			upstream.Go(func() {
				for ; ; said++ {
					select {
					case <-stop:
						return
					default:
					}
					w, err := up.NextWriter(websocket.BinaryMessage)
					if err != nil {
						t.Error(err)
						return
					}
					_, err = fmt.Fprintf(w, "upstream %d %s", said, strings.Repeat("x", 20<<10)) // more than a fragment
					if err = errors.Join(err, w.Close()); err != nil {
						t.Error(err)
						return
					}
				}
			})
			for sender := range senders {
				all.Go(func() {
					for i := range each {
						if err := says(t, entry, fmt.Sprintf("sender%d %d", sender, i)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			finished := make(chan struct{})
			go func() {
				defer close(finished)
				all.Wait()
				close(stop)
				upstream.Wait()
				_ = up.WriteMessage(websocket.BinaryMessage, []byte("upstream end"))
			}()
			next := map[string]int{}
			for {
				_ = client.SetReadDeadline(time.Now().Add(patience))
				kind, got, err := client.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				if string(got) == "upstream end" {
					break
				}
				var who string
				var n int
				if _, err := fmt.Sscan(string(got[:min(len(got), 40)]), &who, &n); err != nil || n != next[who] || (kind == websocket.BinaryMessage) != (who == "upstream") {
					t.Fatalf("got %.40q of type %d, %d was the next of %s: %v", got, kind, next[who], who, err)
				}
				next[who]++
			}
			<-finished
			for sender := range senders {
				if who := fmt.Sprint("sender", sender); next[who] != each {
					t.Errorf("%d messages of %s, want %d", next[who], who, each)
				}
			}
			if next["upstream"] != said {
				t.Errorf("%d messages of the upstream, want %d", next["upstream"], said)
			}
		})
	}
}

func TestASentMessageReachesAHeldClient(t *testing.T) {
	backend := startBackend(t)
	snap := snapshot(backend.url)
	snap.Settings.AutoReconnect = true
	p := startProxy(t, snap)
	client := p.dial(nil)
	up := backend.next(t)
	send(t, up, "before")
	receive(t, client, "before")
	gate := make(chan struct{})
	backend.setAnswer(func(http.ResponseWriter, *http.Request) bool { <-gate; return false })
	cut(up)
	p.held(0)
	if err := says(t, p.only(), "your backend is being restarted"); err != nil {
		t.Error(err)
	}
	receive(t, client, "your backend is being restarted")
	close(gate)
	send(t, backend.next(t), "after")
	receive(t, client, "after")
}

// A client that does not read is not sent more than a bounded part; what it cannot
// be sent is withdrawn, or in doubt where its socket has taken a part.
func TestWhatAClientDoesNotTakeIsWithdrawn(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	backend.next(t)
	p.opened()
	entry := p.only()
	large := strings.Repeat("x", core.MaxSend)
	briefly := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return entry.Send(ctx, registry.Send{Payload: []byte(large)})
	}
	comes := 0
	for stalled := false; !stalled; {
		switch err := briefly(); {
		case err == nil, errors.Is(err, registry.ErrInDoubt):
			comes++ // The client may get what is in doubt, and this one will.
		case errors.Is(err, registry.ErrNotTaken):
			stalled = true
		case !errors.Is(err, registry.ErrTooMany):
			t.Fatal(err)
		}
		if comes > 10_000 {
			t.Fatal("a client that does not read takes everything")
		}
	}
	// One waits, beside the one that is being written; a third would be too much.
	waits := make(chan error, 1)
	go func() { waits <- says(t, entry, large[:core.MaxSend-100]) }()
	// What is tried without being sent takes nobody's place.
	eventually(t, "a dry run is too much", func() bool {
		err := entry.Send(t.Context(), registry.Send{Payload: []byte(large), DryRun: true})
		return errors.Is(err, registry.ErrTooMany)
	})
	if err := withdrawn(t, entry, large); !errors.Is(err, registry.ErrTooMany) {
		t.Errorf("one more is answered with %v", err)
	}
	// It reads: nothing comes twice, and nothing that was withdrawn.
	for range comes {
		receive(t, client, large)
	}
	receive(t, client, large[:core.MaxSend-100])
	if err := <-waits; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
	if err := says(t, entry, "last"); err != nil {
		t.Error(err)
	}
	receive(t, client, "last")
}

// Within a message of the upstream there is no place for another.
func TestASentMessageWaitsForTheEndOfAMessageOfTheUpstream(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	client := p.dial(nil)
	up := backend.next(t)
	p.opened()
	entry := p.only()
	w, err := up.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("y", 20<<10)
	if _, err := w.Write([]byte(long)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has begun", func() bool { return entry.Describe().FromUpstream.Bytes > 1000 })
	if err := withdrawn(t, entry, "too early"); !errors.Is(err, registry.ErrNotTaken) {
		t.Errorf("within a message: %v", err)
	}
	waits := make(chan error, 2)
	large := strings.Repeat("x", core.MaxSend)
	for range cap(waits) {
		go func() { waits <- says(t, entry, large) }()
	}
	eventually(t, "they wait", func() bool {
		return errors.Is(entry.Send(t.Context(), registry.Send{DryRun: true, Payload: []byte(large)}), registry.ErrTooMany)
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	receive(t, client, long)
	for range cap(waits) {
		receive(t, client, large)
		if err := <-waits; err != nil {
			t.Error(err)
		}
	}
}

func TestWhyNothingIsSent(t *testing.T) {
	t.Run("the connection is closing", func(t *testing.T) {
		backend := startBackend(t)
		p := startProxy(t, snapshot(backend.url))
		client := p.dial(nil)
		up := backend.next(t)
		p.opened()
		entry := p.only()
		if err := entry.Disconnect(registry.Disconnect{Code: 1000, Grace: patience}); err != nil {
			t.Fatal(err)
		}
		if err := says(t, entry, "x"); !errors.Is(err, registry.ErrClosing) {
			t.Errorf("it is answered with %v", err)
		}
		receiveClose(t, client, 1000)
		receiveClose(t, up, 1000)
		eventually(t, "it is gone", func() bool { return p.registry.Len() == 0 })
		if err := says(t, entry, "x"); !errors.Is(err, registry.ErrClosing) {
			t.Errorf("once it is gone: %v", err)
		}
	})
	t.Run("it is not open yet", func(t *testing.T) {
		url, accepted := mute(t)
		p := startProxy(t, snapshot(url))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _, _ = websocket.DefaultDialer.DialContext(t.Context(), p.url, nil)
		}()
		eventually(t, "the upstream is dialed", func() bool { return accepted.Load() == 1 })
		entry := p.only()
		if err := says(t, entry, "x"); !errors.Is(err, registry.ErrConnecting) {
			t.Errorf("it is answered with %v", err)
		}
		if err := entry.Disconnect(registry.Disconnect{Code: 1000}); err != nil {
			t.Fatal(err)
		}
		if err := says(t, entry, "x"); !errors.Is(err, registry.ErrClosing) {
			t.Errorf("once it is refused: %v", err)
		}
		<-ended
	})
	t.Run("nobody knows its extension", func(t *testing.T) {
		backend := startBackend(t)
		backend.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-WebSocket-Accept", handshake.AcceptOf(r.Header.Get("Sec-WebSocket-Key")))
			w.Header().Set("Sec-WebSocket-Extensions", "x-counts-frames")
			w.WriteHeader(http.StatusSwitchingProtocols)
			if sock, _, err := http.NewResponseController(w).Hijack(); err == nil {
				t.Cleanup(func() { _ = sock.Close() })
			}
			return true
		})
		p := startProxy(t, snapshot(backend.url))
		p.dial(nil)
		p.opened()
		for _, dry := range []bool{false, true} {
			if err := p.only().Send(t.Context(), registry.Send{Payload: []byte("x"), DryRun: dry}); !errors.Is(err, registry.ErrExtension) {
				t.Errorf("it is answered with %v", err)
			}
		}
	})
	t.Run("it is too big", func(t *testing.T) {
		backend := startBackend(t)
		snap := snapshot(backend.url)
		snap.Limits = &dataplanev1alpha1.Limits{MaxMessageBytes: 5}
		p := startProxy(t, snap)
		client := p.dial(nil)
		backend.next(t)
		p.opened()
		if err := says(t, p.only(), "123456"); !errors.Is(err, registry.ErrTooBig) {
			t.Errorf("it is answered with %v", err)
		}
		if err := says(t, p.only(), "12345"); err != nil {
			t.Error(err)
		}
		receive(t, client, "12345")
	})
}
