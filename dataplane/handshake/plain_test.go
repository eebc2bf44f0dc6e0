// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package handshake

import (
	"bufio"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// readPlain is what a reader of plain requests makes of what has come.
func readPlain(in string) (r *http.Request, rest string, ok bool) {
	end, reading := PlainEnd([]byte(in), PlainRequest, 0)
	if reading != Finished {
		return nil, in, false
	}
	r, ok = ParseRequest(in[:end])
	return r, in[end:], ok
}

var plainSeeds = []string{
	opening,
	opening + "Cookie: a=b\nCookie: c=d\nSec-WebSocket-Protocol: chat, superchat\nX:\nY: \t z \t\n",
	strings.Replace(opening, "/chat", "//a%2Fb/%C3%BC;c?x=%20y&z=/?%41", 1),
	strings.Replace(opening, "Host: server.example.com", "hOST:[::1]:8080", 1),
	opening + "Pragma: no-cache\nCache-Control: no-store\n",
	opening + "Connection: keep-alive, X-Own\nX-Own: 1\nTE: trailers\n",
}

// unusualSeeds are refused by net/http, or taken for something else by somebody.
var unusualSeeds = map[string]string{
	"a body":                 opening + "Content-Length: 5\n\nhello",
	"no body, but a length":  opening + "Content-Length: 0\n",
	"chunks":                 opening + "Transfer-Encoding: chunked\n\n0\n\nGET /smuggled HTTP/1.1\nHost: x\n",
	"a trailer":              opening + "Trailer: X\n",
	"an expectation":         opening + "Expect: 100-continue\n",
	"an end":                 opening + "Connection: Upgrade, close\n",
	"what net/http adds to":  opening + "Pragma: no-cache\n",
	"two hosts":              opening + "Host: other\n",
	"no host":                strings.Replace(opening, "Host:", "Hoist:", 1),
	"an empty host":          strings.Replace(opening, "server.example.com", "", 1),
	"a host with a path":     strings.Replace(opening, "server.example.com", "a/b", 1),
	"a user":                 strings.Replace(opening, "server.example.com", "a@b", 1),
	"a folded line":          opening + "X-Folded: a\n b\n",
	"a folded first line":    strings.Replace(opening, "Host:", " Host:", 1),
	"a lone CR":              opening + "X: a\rb\n",
	"a NUL":                  opening + "X: a\x00b\n",
	"a space before a colon": opening + "Content-Length : 5\n",
	"no colon":               opening + "X\n",
	"no name":                opening + ": x\n",
	"a name that is none":    opening + "X(y): x\n",
	"HTTP/1.0":               strings.Replace(opening, "HTTP/1.1", "HTTP/1.0", 1),
	"HTTP/2":                 "PRI * HTTP/2.0\n\nSM\n",
	"HTTP/1.10":              strings.Replace(opening, "HTTP/1.1", "HTTP/1.10", 1),
	"two spaces":             strings.Replace(opening, " HTTP/1.1", "  HTTP/1.1", 1),
	"a space in the target":  strings.Replace(opening, "/chat", "/ch at", 1),
	"a fragment":             strings.Replace(opening, "/chat", "/chat#x", 1),
	"another form":           strings.Replace(opening, "GET /chat", "GET http://other/x", 1),
	"bad percent-encoding":   strings.Replace(opening, "/chat", "/%zz", 1),
	"raw UTF-8":              strings.Replace(opening, "/chat", "/ü", 1),
	"another method":         strings.Replace(opening, "GET", "POST", 1),
	"small letters":          strings.Replace(opening, "GET", "get", 1),
	"an empty line before":   "\n" + opening,
}

func TestPlainRequestsAreReadAsNetHTTPDoes(t *testing.T) {
	for _, seed := range plainSeeds {
		in := strings.ReplaceAll(seed, "\n", "\r\n") + "\r\n"
		if _, rest, ok := readPlain(in); !ok || rest != "" {
			t.Errorf("%q is not plain", in)
		}
		expectAsNetHTTP(t, in)
	}
}

func TestWhatIsNotPlainIsLeftToNetHTTP(t *testing.T) {
	for name, seed := range unusualSeeds {
		in := strings.ReplaceAll(seed, "\n", "\r\n") + "\r\n"
		if r, _, ok := readPlain(in); ok {
			t.Errorf("%s is taken for plain: %+v", name, r)
		}
	}
	for name, in := range map[string]string{
		"lone LFs":             opening + "\n",
		"a lone LF":            strings.ReplaceAll(opening, "\n", "\r\n") + "X: y\n\r\n",
		"a lone LF at the end": strings.ReplaceAll(opening, "\n", "\r\n") + "\n",
	} {
		if _, reading := PlainEnd([]byte(in), PlainRequest, 0); reading != Unusual {
			t.Errorf("%s: %v", name, reading)
		}
	}
}

func TestTheEndOfAHeadIsFoundWhereverItWasSplit(t *testing.T) {
	in := []byte(strings.ReplaceAll(opening, "\n", "\r\n") + "\r\n")
	for split := range len(in) {
		if _, reading := PlainEnd(in[:split], PlainRequest, 0); reading != Unfinished {
			t.Fatalf("the first %d bytes: %v", split, reading)
		}
		if end, reading := PlainEnd(append(in, "more"...), PlainRequest, split); reading != Finished || end != len(in) {
			t.Fatalf("after %d bytes: %d, %v", split, end, reading)
		}
	}
	for _, wrong := range []string{"P", "GE\n", "\x16\x03\x01", "GET *"} {
		if _, reading := PlainEnd([]byte(wrong), PlainRequest, 0); reading != Unusual {
			t.Errorf("%q: %v", wrong, reading)
		}
	}
}

// FuzzPlainRequest holds that net/http reads whatever is taken for plain, and makes
// the same of it, down to what follows.
func FuzzPlainRequest(f *testing.F) {
	for _, seed := range plainSeeds {
		f.Add(strings.ReplaceAll(seed, "\n", "\r\n") + "\r\n")
	}
	for _, seed := range unusualSeeds {
		f.Add(strings.ReplaceAll(seed, "\n", "\r\n") + "\r\n")
	}
	f.Fuzz(func(t *testing.T, in string) { expectAsNetHTTP(t, in) })
}

func expectAsNetHTTP(t *testing.T, in string) {
	t.Helper()
	got, rest, ok := readPlain(in)
	if !ok {
		return
	}
	reader := bufio.NewReader(strings.NewReader(in))
	want, status := asServed(reader)
	if status != 0 {
		t.Fatalf("%q is plain, and net/http answers %d", in, status)
	}
	left, err := io.ReadAll(reader)
	if err != nil || string(left) != rest {
		t.Fatalf("%q: net/http leaves %q, we leave %q (%v)", in, left, rest, err)
	}
	if got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host || got.Proto != want.Proto ||
		got.ContentLength != want.ContentLength || len(want.TransferEncoding) > 0 || want.Close || want.Trailer != nil || want.Body != http.NoBody {
		t.Fatalf("%q:\nnet/http: %+v\nwe:       %+v", in, want, got)
	}
	if !reflect.DeepEqual(got.URL, want.URL) || !reflect.DeepEqual(got.Header, want.Header) {
		t.Fatalf("%q:\nnet/http: %v %q\nwe:       %v %q", in, want.URL, want.Header, got.URL, got.Header)
	}
}

// asServed reads a request as net/http's server does: http.ReadRequest leaves some
// of its checks out. The status is that of its refusal; 0 where there is none.
func asServed(reader *bufio.Reader) (*http.Request, int) {
	r, err := http.ReadRequest(reader)
	if err != nil {
		return nil, http.StatusBadRequest
	}
	for name, values := range r.Header {
		for _, value := range values {
			if !isToken(name) || !isFieldValue(value) {
				return nil, http.StatusBadRequest
			}
		}
	}
	if r.Host == "" || strings.ContainsAny(r.Host, "/@?#\\\"<> \t") {
		return nil, http.StatusBadRequest
	}
	return r, 0
}

// FuzzPlainSwitching holds the same for the answer of an upstream.
func FuzzPlainSwitching(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 101 Switching Protocols\n" + switching,
		"HTTP/1.1 101 \n" + switching,
		"HTTP/1.1 101 x\n" + switching + "Set-Cookie: a=b\nset-cookie: c=d\nSec-WebSocket-Protocol: chat\n",
		"HTTP/1.1 101 x\n" + switching + "Content-Length: 3\n",
		"HTTP/1.1 101 x\n" + switching + "Connection: close\n",
		"HTTP/1.1 101 x\n" + switching + "X: a\n b\n",
	} {
		f.Add(strings.ReplaceAll(seed, "\n", "\r\n") + "\r\n")
		f.Add(strings.ReplaceAll(seed, "\n", "\r\n") + "\r\n\x81\x05hello")
	}
	f.Fuzz(func(t *testing.T, in string) {
		end, reading := PlainEnd([]byte(in), PlainSwitching, 0)
		if reading != Finished {
			return
		}
		got, ok := ParseSwitching(in[:end])
		if !ok {
			return
		}
		reader := bufio.NewReader(strings.NewReader(in))
		want, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("%q is plain, and net/http says %v", in, err)
		}
		defer want.Body.Close()
		left, err := io.ReadAll(reader)
		if err != nil || string(left) != in[end:] {
			t.Fatalf("%q: net/http leaves %q, we leave %q (%v)", in, left, in[end:], err)
		}
		if want.StatusCode != http.StatusSwitchingProtocols || want.Close || !reflect.DeepEqual(got, want.Header) {
			t.Fatalf("%q:\nnet/http: %d %q\nwe:       %q", in, want.StatusCode, want.Header, got)
		}
	})
}

const switching = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"

func TestTheFirstLineSaysSoonThatARequestIsNotPlain(t *testing.T) {
	for line, want := range map[string]bool{
		"":                        true,
		"GET / HTT":               true,
		"GET / HTTP/9.9":          true, // That line has not ended.
		"GET / HTTP/1.1\r\n":      true,
		"GET / HTTP/1.1\r\nHost:": true,
		"GET / HTTP/9.9\r\n":      false,
		"GET / HTTP/1.1\n":        false,
		"GET /\r\nHost: x":        false,
		"GET /HTTP/1.1\r\n":       false,
	} {
		if got := PlainLine([]byte(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
