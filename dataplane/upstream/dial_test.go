// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

func TestDialKeepsWhatCameWithThe101(t *testing.T) {
	for name, early := range map[string]string{"nothing": "", "a frame": "\x81\x05hello", "more than a buffer": strings.Repeat("x", 20000)} {
		t.Run(name, func(t *testing.T) {
			address := answering(t, always(switching+early), func(conn net.Conn) {
				_, _ = io.WriteString(conn, "LATER")
			})
			u := mustDial(t, NewDialer(""), at(address), clientHead(t, at(), ""))
			rest, err := io.ReadAll(u.Conn)
			if got := string(u.Early) + string(rest); err != nil || got != early+"LATER" {
				t.Errorf("read %d bytes, %v; want %d", len(got), err, len(early+"LATER"))
			}
			if len(u.Early) > 4096 || early == "" && len(u.Early) > len("LATER") {
				t.Errorf("%d bytes are early", len(u.Early))
			}
			if u.Address != address {
				t.Errorf("address is %s, want %s", u.Address, address)
			}
		})
	}
}

func TestDialSkipsInformationalAnswers(t *testing.T) {
	address := answering(t, always("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"+switching+"early"), nil)
	if u := mustDial(t, NewDialer(""), at(address), clientHead(t, at(), "")); string(u.Early) != "early" || len(u.Response["Link"]) > 0 {
		t.Errorf("early %q, header %v", u.Early, u.Response)
	}
}

func TestDialRefusesBadAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"other accept":      strings.Replace(switching, "ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo", 1),
		"no Upgrade":        strings.Replace(switching, "Upgrade: websocket\r\n", "", 1),
		"no HTTP":           "SSH-2.0-OpenSSH_9.6\r\n",
		"malformed header":  "HTTP/1.1 101 Switching Protocols\r\nUpgrade websocket\r\n\r\n",
		"bare CR in header": strings.Replace(switching, "\r\n\r\n", "\r\nX-A: b\rX-Evil: c\r\n\r\n", 1),
		"endless head":      "HTTP/1.1 101 Switching Protocols\r\nX: " + strings.Repeat("x", 70000) + "\r\n\r\n",
		"endless 1xx":       strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 4000) + switching,
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDialer("")
			address := answering(t, always(answer), untilClosed)
			_, err := d.Dial(patient(t), at(address), clientHead(t, at(), ""))
			if !errors.Is(err, ErrBadAnswer) || Retryable(err) || IsTimeout(err) || AddressOf(err) != address {
				t.Errorf("%v; want ErrBadAnswer of %s, not to be retried", err, address)
			}
			if d.Picker.Live(address) != 0 {
				t.Error("the failed attempt is still counted")
			}
			if got := Answer(err); got.Status != http.StatusBadGateway || got.Reason != handshake.ReasonUpstreamMalformed {
				t.Errorf("the client would be told %d because of %s", got.Status, got.Reason)
			}
		})
	}
}

func TestDialTakesAHeadOfAnySizeUpToTheLimit(t *testing.T) {
	answer := strings.Replace(switching, "\r\n\r\n", "\r\nX: "+strings.Repeat("x", 60000)+"\r\n\r\n", 1)
	u := mustDial(t, NewDialer(""), at(answering(t, always(answer), nil)), clientHead(t, at(), ""))
	if len(u.Response.Get("X")) != 60000 {
		t.Errorf("X has %d bytes", len(u.Response.Get("X")))
	}
}

func TestTransportFailuresAreRetryable(t *testing.T) {
	for name, address := range map[string]string{
		"nobody listens":     refusing(t),
		"closed at once":     listening(t, func(net.Conn) {}),
		"closed in the head": answering(t, always("HTTP/1.1 101 Switching"), nil),
		"reset": listening(t, func(conn net.Conn) {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewDialer("").Dial(patient(t), at(address), clientHead(t, at(), ""))
			if err == nil || !Retryable(err) || IsTimeout(err) || AddressOf(err) != address || Answer(err).Status != http.StatusBadGateway {
				t.Errorf("%v; want a failure of %s to be retried", err, address)
			}
		})
	}
	t.Run("no such host", func(t *testing.T) {
		_, err := NewDialer("").Dial(patient(t), atURL(t, "ws://nobody.invalid/"), clientHead(t, at(), ""))
		if err == nil || !Retryable(err) {
			t.Errorf("%v; want a failure to be retried", err)
		}
	})
}

func TestConnectTimeoutBoundsTheWholeAttempt(t *testing.T) {
	silent := listening(t, untilClosed)
	for _, test := range []struct {
		name  string
		cfg   *config.Config
		stage Stage
	}{
		{"TLS that is not answered", atURL(t, "wss://"+silent), StageTLS},
		{"no answer", at(silent), StageHandshake},
		{"half an answer", at(answering(t, always("HTTP/1.1 101 Switching Protocols\r\n"), untilClosed)), StageHandshake},
		{"no end of 1xx", at(answering(t, always("HTTP/1.1 100 Continue\r\n\r\n"), untilClosed)), StageHandshake},
	} {
		t.Run(test.name, func(t *testing.T) {
			const timeout = 100 * time.Millisecond
			test.cfg.ConnectTimeout = timeout
			begin := time.Now()
			// Were the setting ignored, the test's patience would cancel this, and a
			// cancellation is no timeout.
			_, err := NewDialer("").Dial(patient(t), test.cfg, clientHead(t, at(), ""))
			attempt, ok := errors.AsType[*AttemptError](err)
			if !ok || attempt.Stage != test.stage || !IsTimeout(err) || !Retryable(err) || Answer(err).Status != http.StatusGatewayTimeout {
				t.Errorf("%v; want a timeout in stage %s, to be retried, then 504", err, test.stage)
			}
			if took := time.Since(begin); took < timeout {
				t.Errorf("gave up after %v, want %v", took, timeout)
			}
		})
	}
}

func TestConnectTimeoutDoesNotConcernOpenUpstreams(t *testing.T) {
	say := make(chan struct{})
	address := answering(t, always(switching), func(conn net.Conn) {
		<-say
		_, _ = io.WriteString(conn, "late")
	})
	cfg := at(address)
	cfg.ConnectTimeout = time.Second
	u := mustDial(t, NewDialer(""), cfg, clientHead(t, at(), ""))
	<-time.After(cfg.ConnectTimeout + 100*time.Millisecond)
	close(say)
	if got, err := io.ReadAll(u.Conn); string(got) != "late" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestCancelledDialEndsAtOnce(t *testing.T) {
	asked := make(chan struct{})
	address := answering(t, func(*http.Request) string { close(asked); return "" }, untilClosed)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	d := NewDialer("")
	_, err := d.Dial(ctx, at(address), clientHead(t, at(), ""))
	if !errors.Is(err, context.Canceled) || Retryable(err) || IsTimeout(err) {
		t.Errorf("%v; want a cancellation", err)
	}
	if d.Picker.Live(address) != 0 {
		t.Error("the cancelled attempt is still counted")
	}
}

func TestDialOfAURLSendsItsHostAndPath(t *testing.T) {
	asked := make(chan *http.Request, 1)
	address := answering(t, func(r *http.Request) string { asked <- r; return switching }, nil)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDialer("")
	u := mustDial(t, d, atURL(t, "ws://localhost:"+port+"/ws/"), clientHead(t, at(), ""))
	if r := <-asked; r.Host != "localhost:"+port || r.RequestURI != "/ws/chat?x=1" || r.Header.Get("X-WebSocket-Connection-Id") != "pod-1" {
		t.Errorf("asked %s for %s, %v", r.Host, r.RequestURI, r.Header)
	}
	if u.Address != address {
		t.Errorf("address is %s, want %s, where the name led", u.Address, address)
	}
	if live := d.Picker.Live("localhost:" + port); live != 1 {
		t.Errorf("%d connections are counted", live)
	}
}

func TestHostPortOfURL(t *testing.T) {
	for raw, want := range map[string]string{
		"ws://a.example/x": "a.example:80", "wss://a.example": "a.example:443", "wss://a.example:8443": "a.example:8443",
		"ws://[fd00::1]": "[fd00::1]:80", "ws://[fd00::1]:81": "[fd00::1]:81",
	} {
		if got := hostPort(atURL(t, raw).UpstreamURL); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestDialWithAHeadThatCannotBeSent(t *testing.T) {
	_, err := NewDialer("").Dial(patient(t), at(listening(t, untilClosed)), &handshake.Head{Host: "a", RequestURI: "/\r\n"})
	if !errors.Is(err, handshake.ErrBadHead) || Retryable(err) {
		t.Errorf("%v; want ErrBadHead, not to be retried", err)
	}
}

func TestRetryableStatuses(t *testing.T) {
	for status := 200; status < 600; status++ {
		refused := &Refused{Status: status}
		want := status == 502 || status == 503 || status == 504
		if got := Retryable(fmt.Errorf("attempt: %w", refused)); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
	if Retryable(nil) || Retryable(errors.New("x")) {
		t.Error("what is no attempt is to be retried")
	}
}

// leaving is a connection that answers at the very moment at which the client
// leaves.
type leaving struct {
	net.Conn
	io.Reader
	leave func()
}

func (l leaving) Read(p []byte) (int, error)  { l.leave(); return l.Reader.Read(p) }
func (l leaving) Write(p []byte) (int, error) { return len(p), nil }
func (l leaving) SetDeadline(time.Time) error { return nil }

func TestAnswerThatComesTooLateOpensNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	head := clientHead(t, at(), "")
	answer := strings.Replace(switching, "ACCEPT", handshake.AcceptOf(head.Key()), 1)
	conn := leaving{Reader: strings.NewReader(answer), leave: cancel}
	// Opened, it would have a deadline in the past, sooner or later.
	if u, refused, err := open(ctx, conn, at(), head); u != nil || refused != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v, %v; want a cancellation", u, refused, err)
	}
}
