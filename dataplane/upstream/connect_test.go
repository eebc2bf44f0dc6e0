// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

// failing is a failure to dial an address.
func failing(address string) error {
	return &AttemptError{Stage: StageDial, Address: address, Err: io.ErrUnexpectedEOF}
}

func answer(status int, text string) *Refused {
	return &Refused{Status: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Address: a}
}

func TestRetriesAreAtLeastRetryDelayApart(t *testing.T) {
	const delay = time.Second
	for range 20 { // The jitter is by chance.
		synctest.Test(t, func(t *testing.T) {
			cfg := &config.Config{MaxRetries: 3, RetryDelay: delay}
			var at []time.Time
			_, err := connect(t.Context(), func() *config.Config { return cfg }, nil,
				func(context.Context, *config.Config, ...string) (*Upstream, error) {
					at = append(at, time.Now())
					return nil, failing(a)
				})
			if err == nil || len(at) != 4 {
				t.Fatalf("%d attempts, %v; want 4 that fail", len(at), err)
			}
			for i := 1; i < len(at); i++ {
				if pause := at[i].Sub(at[i-1]); pause < delay || pause > delay*12/10 {
					t.Errorf("pause %d is %v, want %v and up to 20 %% more", i, pause, delay)
				}
			}
		})
	}
}

func TestJitterSpreads(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 50 {
		seen[jitter(time.Second)] = true
	}
	if len(seen) < 2 || jitter(0) != 0 {
		t.Errorf("jitter is one of %v; of nothing it is %v", seen, jitter(0))
	}
}

func TestEachAttemptAndPauseGoesByTheConfigurationOfItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Which attempt sees which configuration, and what it makes of it.
		first := &config.Config{MaxRetries: 1, RetryDelay: time.Hour}
		second := &config.Config{MaxRetries: 3, RetryDelay: time.Second}
		third := &config.Config{MaxRetries: 2, RetryDelay: time.Second}
		var current atomic.Pointer[config.Config]
		current.Store(first)
		begin := time.Now()
		var seen []*config.Config
		_, err := connect(t.Context(), current.Load, nil,
			func(_ context.Context, cfg *config.Config, _ ...string) (*Upstream, error) {
				seen = append(seen, cfg)
				switch len(seen) {
				case 1:
					current.Store(second) // While the attempt lasts: its pause is a second.
				case 3:
					current.Store(third) // And there are no more attempts.
				}
				return nil, failing(a)
			})
		if err == nil || !slices.Equal(seen, []*config.Config{first, second, second}) {
			t.Errorf("attempts went by %v, %v", seen, err)
		}
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("took %v: a pause went by a configuration that was gone", took)
		}
	})
}

func TestRetriesGoWhereNobodyHasFailed(t *testing.T) {
	cfg := at(a, b, c)
	cfg.MaxRetries = 5
	for range 30 { // Which one is picked is by chance, as long as it may be.
		var p Picker
		var tried []string
		_, err := connect(t.Context(), func() *config.Config { return cfg }, nil,
			func(_ context.Context, cfg *config.Config, avoid ...string) (*Upstream, error) {
				address, release, err := p.Pick(cfg.Endpoints, avoid...)
				if err != nil {
					return nil, err
				}
				release()
				tried = append(tried, address)
				return nil, failing(address)
			})
		if err == nil || len(tried) != 6 {
			t.Fatalf("tried %v, %v", tried, err)
		}
		if first := slices.Compact(slices.Sorted(slices.Values(tried[:3]))); !slices.Equal(first, []string{a, b, c}) {
			t.Fatalf("the first three attempts were %v", tried[:3])
		}
		for i := 1; i < len(tried); i++ {
			if tried[i] == tried[i-1] {
				t.Fatalf("attempt %d went where the one before had failed: %v", i, tried)
			}
		}
	}
}

func TestLastAnswerReachesTheClient(t *testing.T) {
	type attempt = error
	for _, test := range []struct {
		name     string
		attempts []attempt
		status   int // of the answer that is passed on; 0: none
		text     string
		timeout  bool
	}{
		{"the last of two", []attempt{answer(503, "first"), answer(502, "second")}, 502, "second", false},
		{"one before a failure", []attempt{answer(503, "first"), failing(a)}, 503, "first", false},
		{"one between failures", []attempt{failing(a), answer(504, "x"), context.DeadlineExceeded}, 504, "x", false},
		{"one that is not retried", []attempt{answer(503, "first"), answer(401, "no")}, 401, "no", false},
		{"none, and a timeout last", []attempt{failing(a), &AttemptError{Err: context.DeadlineExceeded}}, 0, "", true},
		{"none, and a timeout before", []attempt{&AttemptError{Err: context.DeadlineExceeded}, failing(a)}, 0, "", false},
		{"no endpoints", []attempt{ErrNoEndpoints, ErrNoEndpoints}, 0, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := &config.Config{MaxRetries: len(test.attempts) - 1}
			var told []error
			n := 0
			_, err := connect(t.Context(), func() *config.Config { return cfg },
				func(i int, err error) {
					if i != len(told) {
						t.Errorf("told of attempt %d after %d", i, len(told))
					}
					told = append(told, err)
				},
				func(context.Context, *config.Config, ...string) (*Upstream, error) {
					n++
					return nil, test.attempts[n-1]
				})
			if !slices.Equal(told, test.attempts) {
				t.Errorf("told of %v", told)
			}
			refused, ok := errors.AsType[*Refused](err)
			if ok != (test.status != 0) {
				t.Fatalf("%v", err)
			}
			if !ok {
				if IsTimeout(err) != test.timeout {
					t.Errorf("%v", err)
				}
				return
			}
			body, err := io.ReadAll(refused.Body)
			if refused.Status != test.status || string(body) != test.text || err != nil {
				t.Errorf("%d %q, %v; want %d %q", refused.Status, body, err, test.status, test.text)
			}
		})
	}
}

func TestLeavingEndsThePauseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := errors.New("the client left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(left) })
		begin := time.Now()
		cfg := &config.Config{MaxRetries: 3, RetryDelay: time.Minute}
		_, err := connect(ctx, func() *config.Config { return cfg }, nil,
			func(context.Context, *config.Config, ...string) (*Upstream, error) { return nil, failing(a) })
		if !errors.Is(err, left) || time.Since(begin) != time.Second {
			t.Errorf("%v after %v; want the cause after 1s", err, time.Since(begin))
		}
	})
}

type closing struct {
	io.Reader
	closed *bool
}

func (c closing) Close() error { *c.closed = true; return nil }

func TestLeavingDuringAnAttemptClosesItsAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var closed bool
	_, err := connect(ctx, func() *config.Config { return &config.Config{} }, nil,
		func(context.Context, *config.Config, ...string) (*Upstream, error) {
			cancel()
			return nil, &Refused{Status: 401, Header: http.Header{}, Body: closing{strings.NewReader(""), &closed}}
		})
	if !errors.Is(err, context.Canceled) || !closed {
		t.Errorf("%v, answer closed %v", err, closed)
	}
}

// The same through sockets: how often and how far apart a real upstream is asked.
func TestMaxRetriesAndRetryDelayAgainstARealUpstream(t *testing.T) {
	for _, retries := range []int{0, 2} {
		asked := make(chan time.Time, 100)
		address := serving(t, func(w http.ResponseWriter, _ *http.Request) {
			asked <- time.Now()
			http.Error(w, "busy", http.StatusServiceUnavailable)
		})
		cfg := at(address)
		cfg.MaxRetries, cfg.RetryDelay = retries, 50*time.Millisecond
		_, err := NewDialer("").Connect(patient(t), func() *config.Config { return cfg }, clientHead(t, cfg, ""), nil)
		refused, ok := errors.AsType[*Refused](err)
		if !ok {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(refused.Body); string(body) != "busy\n" || err != nil {
			t.Errorf("body %q, %v", body, err)
		}
		refused.Close()
		close(asked)
		var before time.Time
		n := 0
		for at := range asked {
			if n > 0 && at.Sub(before) < cfg.RetryDelay {
				t.Errorf("attempt %d came %v after the one before, want %v", n, at.Sub(before), cfg.RetryDelay)
			}
			before = at
			n++
		}
		if n != retries+1 {
			t.Errorf("asked %d times with maxRetries %d", n, retries)
		}
	}
}

func TestConnectGoesOnToAnEndpointThatAnswers(t *testing.T) {
	bad := refusing(t)
	good := answering(t, always(switching+"x"), nil)
	cfg := at(bad, good)
	cfg.MaxRetries = 1
	d := NewDialer("")
	// The good one is busier, so the bad one is tried first.
	defer d.Picker.Take(good)()
	u, err := d.Connect(patient(t), func() *config.Config { return cfg }, clientHead(t, cfg, ""), nil)
	if err != nil || u.Address != good {
		t.Fatalf("%+v, %v", u, err)
	}
	if d.Picker.Live(good) != 2 || d.Picker.Live(bad) != 0 {
		t.Errorf("%d and %d connections, want 2 and 0", d.Picker.Live(good), d.Picker.Live(bad))
	}
	var client bytes.Buffer
	if err := u.WriteSwitchingProtocols(&client, "pod-1"); err != nil || !strings.HasPrefix(client.String(), "HTTP/1.1 101 ") ||
		!strings.Contains(client.String(), "\r\nX-WebSocket-Connection-Id: pod-1\r\n") {
		t.Errorf("%v\n%s", err, client.String())
	}
	_ = u.Conn.Close()
	u.Release()
	if d.Picker.Live(good) != 1 {
		t.Errorf("%d connections are left, want 1", d.Picker.Live(good))
	}
}
