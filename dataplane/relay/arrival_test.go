// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/handshake"
	"github.com/wsproxy/wsproxy/dataplane/relay"
	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// Every test here goes for both ways into the proxy: over the event loop, which
// reads plain handshakes itself, and over net/http alone, as what it has to be
// indistinguishable from.

const plainHead = "GET /chat?x=%20y HTTP/1.1\r\nHost: x\r\n" + opening + "Origin: http://x\r\n\r\n"

func TestAHandshakeMayComeInPieces(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	conns := make([]net.Conn, len(plainHead))
	answers := make([]*bufio.Reader, len(plainHead))
	for split := 1; split < len(plainHead); split++ {
		conns[split], answers[split] = p.ask(plainHead[:split])
	}
	for split := 1; split < len(plainHead); split++ {
		if _, err := io.WriteString(conns[split], plainHead[split:]); err != nil {
			t.Fatal(err)
		}
		answered(t, answers[split], http.StatusSwitchingProtocols)
		up := backend.next(t)
		send(t, up, "hello")
		expectBytes(t, answers[split], "\x81\x05hello")
		if request := <-backend.requests; request.RequestURI != "/chat?x=%20y" {
			t.Fatalf("split at %d: %s", split, request.RequestURI)
		}
		_, _ = conns[split].Close(), up.Close()
	}
}

func expectBytes(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func TestAHandshakeMayComeByteByByte(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	conn, r := p.ask("")
	for i := range len(plainHead) {
		if _, err := io.WriteString(conn, plainHead[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	answered(t, r, http.StatusSwitchingProtocols)
}

func TestBytesBehindTheHeadAre400(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	for _, more := range []string{"\x81\x80\x00\x00\x00\x00", "x", "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("x", 20000)} {
		_, r := p.ask(plainHead + more)
		answer, _ := io.ReadAll(r)
		if !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || strings.Count(string(answer), "HTTP/1.1") != 1 {
			t.Errorf("%.10q behind the head: %q", more, answer)
		}
	}
	for len(backend.requests) > 0 {
		if request := <-backend.requests; request.RequestURI != "/chat?x=%20y" {
			t.Errorf("the upstream was asked for %s", request.RequestURI)
		}
	}
}

func TestBytesBeforeTheAnswerAre400(t *testing.T) {
	backend := startBackend(t)
	release := make(chan struct{})
	backend.setAnswer(func(http.ResponseWriter, *http.Request) bool {
		<-release
		return false
	})
	p := startProxy(t, snapshot(backend.url))
	conn, r := p.ask(plainHead)
	<-backend.requests
	// On the loopback they have come when this returns.
	if _, err := io.WriteString(conn, "too early"); err != nil {
		t.Fatal(err)
	}
	close(release)
	answered(t, r, http.StatusBadRequest)
}

func TestWhatIsNotPlainIsAnsweredAllTheSame(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	for name, test := range map[string]struct {
		request string
		status  int
	}{
		"lone LFs":                     {strings.ReplaceAll(plainHead, "\r\n", "\n"), http.StatusSwitchingProtocols},
		"a folded line":                {strings.Replace(plainHead, "Origin:", "X: a\r\n b\r\nOrigin:", 1), http.StatusSwitchingProtocols},
		"the absolute form":            {strings.Replace(plainHead, "/chat", "http://x/chat", 1), http.StatusSwitchingProtocols},
		"no length":                    {strings.Replace(plainHead, "Origin:", "Content-Length: 0\r\nOrigin:", 1), http.StatusSwitchingProtocols},
		"an end":                       {strings.Replace(plainHead, "Connection: Upgrade", "Connection: Upgrade, close", 1), http.StatusSwitchingProtocols},
		"two hosts":                    {strings.Replace(plainHead, "Host: x", "Host: x\r\nHost: x", 1), http.StatusBadRequest},
		"no host":                      {strings.Replace(plainHead, "Host: x\r\n", "", 1), http.StatusBadRequest},
		"a bad host":                   {strings.Replace(plainHead, "Host: x", "Host: x\\y", 1), http.StatusBadRequest},
		"a body":                       {strings.Replace(plainHead, "Origin:", "Content-Length: 5\r\nOrigin:", 1) + "hello", http.StatusBadRequest},
		"another method":               {strings.Replace(plainHead, "GET", "POST", 1), http.StatusBadRequest},
		"HTTP/1.0":                     {strings.Replace(plainHead, "HTTP/1.1", "HTTP/1.0", 1), http.StatusHTTPVersionNotSupported},
		"HTTP/2":                       {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http.StatusBadRequest},
		"another transfer encoding":    {strings.Replace(plainHead, "Origin:", "Transfer-Encoding: x\r\nOrigin:", 1), http.StatusNotImplemented},
		"a name that is none":          {strings.Replace(plainHead, "Origin:", "X Y: z\r\nOrigin:", 1), http.StatusBadRequest},
		"no version":                   {strings.Replace(plainHead, "Version: 13", "Version: 12", 1), http.StatusUpgradeRequired},
		"half a head and then no more": {plainHead[:50], http.StatusBadRequest},
	} {
		conn, r := p.ask(test.request)
		_ = conn.(*net.TCPConn).CloseWrite()
		if name == "half a head and then no more" || test.status != http.StatusSwitchingProtocols {
			response, err := http.ReadResponse(r, nil)
			if err != nil || response.StatusCode != test.status {
				t.Errorf("%s: %v, %v, want %d", name, response, err, test.status)
			}
		}
		_ = conn.Close()
		if test.status == http.StatusSwitchingProtocols {
			_, r := p.ask(test.request)
			answered(t, r, test.status)
			<-backend.requests
		}
	}
}

func TestALargeHeadInPiecesIs431(t *testing.T) {
	backend := startBackend(t)
	p := startProxy(t, snapshot(backend.url))
	conn, r := p.ask(strings.TrimSuffix(plainHead, "\r\n"))
	for range 120 {
		_, _ = io.WriteString(conn, "Cookie: "+strings.Repeat("c", 1000)+"\r\n") // It may be refused by now.
	}
	answered(t, r, http.StatusRequestHeaderFieldsTooLarge)
	if n := len(backend.requests); n > 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
}

// What is behind the refused part is never read, and closing a socket with that in it
// resets it: the end of the answer has to come before.
func TestARefusalOfALargeHeadEndsBeforeTheReset(t *testing.T) {
	p := startProxy(t, snapshot(startBackend(t).url))
	eventually(t, "the client sees the end", func() bool { // A busy machine may miss it.
		_, r := p.ask(strings.TrimSuffix(plainHead, "\r\n") + "Cookie: " + strings.Repeat("c", 100_000))
		answer, err := io.ReadAll(r)
		return err == nil && strings.HasPrefix(string(answer), "HTTP/1.1 431 ")
	})
}

// A client that says more than it may, and whose upstream takes its time, costs no
// more memory than one that waits.
func TestWhatIsBehindAHeadStaysInTheKernel(t *testing.T) {
	backend := startBackend(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	backend.setAnswer(func(http.ResponseWriter, *http.Request) bool {
		<-release
		return true
	})
	p := startProxy(t, snapshot(backend.url))
	const behind = 50_000
	for _, head := range []string{plainHead, strings.ReplaceAll(plainHead, "\r\n", "\n")} {
		conn, _ := p.ask(head + strings.Repeat("x", behind))
		<-backend.requests
		eventually(t, "most of it was not read", func() bool { return unread(t, conn) > behind/2 })
	}
}

func TestASlowHeadIsNotWaitedForForEver(t *testing.T) {
	backend := startBackend(t)
	p := startProxyWith(t, snapshot(backend.url), core.NewBudget(0), func(o *relay.Options) { o.HeaderTimeout = 100 * time.Millisecond })
	for _, begin := range []string{"", "G", plainHead[:40], "POST / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\nHost: x\n"} {
		_, r := p.ask(begin)
		answer, err := io.ReadAll(r)
		if err != nil || strings.HasPrefix(string(answer), "HTTP/1.1 400 ") != (begin != "" && !strings.HasSuffix(begin, "\n")) {
			t.Errorf("%q: got %q, %v", begin, answer, err)
		}
	}
}

// Who speaks of something else does not have to end a head to be told so.
func TestALineThatIsNoRequestIsAnsweredAtOnce(t *testing.T) {
	p := startProxy(t, snapshot(startBackend(t).url))
	for line, status := range map[string]int{
		"GET /\r\n": http.StatusBadRequest, "GET / HTTPS/1.1\r\n": http.StatusBadRequest, "GET / x HTTP/1.1 y\r\n": http.StatusBadRequest,
		"GET / HTTP/9.9\r\n\r\n": http.StatusHTTPVersionNotSupported,
	} {
		_, r := p.ask(line)
		if response, err := http.ReadResponse(r, nil); err != nil || response.StatusCode != status {
			t.Errorf("%q: %v, %v, want %d", line, response, err, status)
		}
	}
}

// A client may be refused by the upstream and come again over the same connection.
func TestAClientMayComeAgainAfterTheUpstreamsRefusal(t *testing.T) {
	backend := startBackend(t)
	backend.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" {
			return false
		}
		w.Header().Set("Www-Authenticate", "Basic")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "who are you?")
		return true
	})
	p := startProxy(t, snapshot(backend.url))
	conn, r := p.ask(plainHead)
	response := answered(t, r, http.StatusUnauthorized)
	if body, _ := io.ReadAll(response.Body); string(body) != "who are you?" || response.Close || response.Header.Get("Www-Authenticate") != "Basic" {
		t.Errorf("%q with %v", body, response.Header)
	}
	if _, err := io.WriteString(conn, strings.Replace(plainHead, "Origin:", "Authorization: x\r\nOrigin:", 1)); err != nil {
		t.Fatal(err)
	}
	answered(t, r, http.StatusSwitchingProtocols)
	send(t, backend.next(t), "hello")
	expectBytes(t, r, "\x81\x05hello")
}

// answering runs an upstream that answers every handshake so, a piece of so many
// bytes at a time. accept stands for the answer to the key.
func answering(t *testing.T, size int, answer string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				answer := []byte(strings.ReplaceAll(answer, "accept", handshake.AcceptOf(r.Header.Get("Sec-Websocket-Key"))))
				for piece := range slices.Chunk(answer, size) {
					_, _ = conn.Write(piece)
				}
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return "ws://" + listener.Addr().String()
}

const (
	switching      = "HTTP/1.1 101 Switching Protocols\r\n"
	switchingField = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: accept\r\n"
)

func TestThe101OfTheUpstreamMayBeSpelledAsItLikes(t *testing.T) {
	frame := "\x81\x05hello"
	for name, answer := range map[string]string{
		"plain":         switching + switchingField + "\r\n" + frame,
		"lone LFs":      strings.ReplaceAll(switching+switchingField+"\r\n", "\r\n", "\n") + frame,
		"a folded line": switching + "X: a\r\n b\r\n" + switchingField + "\r\n" + frame,
		"early hints":   "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + switching + switchingField + "\r\n" + frame,
		"no reason":     "HTTP/1.1 101\r\n" + switchingField + "\r\n" + frame,
		"a length":      switching + "Content-Length: 0\r\n" + switchingField + "\r\n" + frame,
		"an end":        switching + strings.Replace(switchingField, "Upgrade\r", "Upgrade, close\r", 1) + "\r\n" + frame,
		"a large head":  switching + "X: " + strings.Repeat("x", 30000) + "\r\n" + switchingField + "\r\n" + frame,
		"a large frame": switching + switchingField + "\r\n\x82\x7e\x75\x30" + strings.Repeat("y", 30000) + frame,
	} {
		for _, size := range []int{1, 50, len(answer)} {
			t.Run(fmt.Sprintf("%s in pieces of %d", name, size), func(t *testing.T) {
				p := startProxy(t, snapshot(answering(t, size, answer)))
				_, r := p.ask(plainHead)
				response := answered(t, r, http.StatusSwitchingProtocols)
				if id := response.Header.Get("X-Websocket-Connection-Id"); id != p.only().ID().Name() {
					t.Errorf("connection id %q", id)
				}
				if _, large, ok := strings.Cut(answer, "\r\n\r\n\x82"); ok {
					expectBytes(t, r, "\x82"+strings.TrimSuffix(large, frame))
				}
				expectBytes(t, r, frame)
			})
		}
	}
}

// A client that takes little at a time gets its 101 all the same.
func TestA101IsWrittenAsTheClientReadsIt(t *testing.T) {
	long := strings.Repeat("x", 7000)
	p := startProxy(t, snapshot(answering(t, 100_000, switching+"X-Long: "+long+"\r\n"+switchingField+"\r\n\x81\x05hello")))
	for _, stays := range []bool{false, true} {
		dialer := net.Dialer{Control: leastReceiveBuffer}
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "ws://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, plainHead[:10]); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is accepted", func() bool { return leastSendBuffer(t, conn) })
		if _, err := io.WriteString(conn, plainHead[10:]); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		if _, err := r.Peek(1); err != nil {
			t.Fatal(err)
		}
		if phase := p.phase(); phase != dataplanev1alpha1.Phase_PHASE_CONNECTING {
			t.Fatalf("the kernel took all at once: %v", phase)
		}
		// From here on it takes more, or the kernel would send a little every few seconds.
		if err := conn.(*net.TCPConn).SetReadBuffer(1 << 20); err != nil {
			t.Fatal(err)
		}
		if !stays {
			_ = conn.Close()
			eventually(t, "nobody is left", func() bool { return p.registry.Len() == 0 })
			continue
		}
		if response := answered(t, r, http.StatusSwitchingProtocols); response.Header.Get("X-Long") != long {
			t.Errorf("X-Long has %d bytes, want %d", len(response.Header.Get("X-Long")), len(long))
		}
		expectBytes(t, r, "\x81\x05hello")
	}
}

func TestAnAnswerThatIsNoneIs502(t *testing.T) {
	for name, answer := range map[string]string{
		"another key":  switching + strings.Replace(switchingField, "accept", "x", 1) + "\r\n",
		"no upgrade":   switching + "Sec-WebSocket-Accept: accept\r\n\r\n",
		"no HTTP":      "SSH-2.0-OpenSSH_9.2p1\r\n",
		"a broken 101": switching + "no colon\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, snapshot(answering(t, 1000, answer)))
			_, r := p.ask(plainHead)
			answered(t, r, http.StatusBadGateway)
			eventually(t, "nobody is left", func() bool { return p.registry.Len() == 0 })
		})
	}
}

// None of the ways in and out of a handshake leaves a descriptor behind.
func TestNoHandshakeLeavesADescriptorBehind(t *testing.T) {
	backend := startBackend(t)
	backend.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	p := startProxy(t, snapshot(backend.url))
	go func() { // Who got an upstream does not wait for it.
		for {
			select {
			case up := <-backend.accepted:
				_ = up.Close()
			case <-t.Context().Done():
				return
			}
		}
	}()
	rounds := func(n int) {
		var conns []net.Conn
		for range n {
			for _, request := range []string{
				plainHead, plainHead + "early", plainHead[:60], "", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "G\r\n",
				strings.Replace(plainHead, "/chat", "/refused", 1), strings.ReplaceAll(plainHead, "\r\n", "\n"),
			} {
				conn, _ := p.ask(request)
				_ = conn.(*net.TCPConn).CloseWrite()
				conns = append(conns, conn)
			}
		}
		for _, conn := range conns { // net/http lets some wait for half a second: all of them at once
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
		eventually(t, "nobody is left", func() bool { return p.registry.Len() == 0 })
	}
	rounds(1)
	var before int
	eventually(t, "the first round is over", func() bool {
		last := before
		before = descriptors(t)
		return last == before
	})
	rounds(20)
	eventually(t, "no more descriptors than before", func() bool { return descriptors(t) <= before })
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(fmt.Sprint("this system does not say: ", err))
	}
	return len(entries)
}
