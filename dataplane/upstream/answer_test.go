// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// saying is a connection on which there is only something to read.
type saying struct {
	net.Conn
	io.Reader
}

func (s saying) Read(p []byte) (int, error) { return s.Reader.Read(p) }

func answerTo(in string) (*http.Response, string, error) {
	response, behind, err := (&answerReader{conn: saying{Reader: strings.NewReader(in)}}).response()
	if err != nil {
		return nil, "", err
	}
	early, _ := behind.Peek(behind.Buffered())
	return response, string(early), nil
}

func TestFieldsThatConnectionNamesAreKnownWhereItSaysClose(t *testing.T) {
	response, _, err := answerTo("HTTP/1.1 100 Continue\r\nConnection: wrong\r\n\r\n" +
		"HTTP/1.1 401 No\r\nConnection: close, X-A\r\nX-A: 1\r\nConnection: X-B\r\nContent-Length: 2\r\n\r\nConnection: body\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(response.Header["Connection"], "|"); got != "close, X-A|X-B" {
		t.Errorf("Connection is %q", got)
	}
}

// FuzzAnswer holds that whatever an upstream answers, the client gets one
// response of which nothing spills over, and the bytes behind a 101 are those
// that the upstream sent.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		switching + "early", "HTTP/1.1 100 Continue\r\n\r\n" + switching,
		"HTTP/1.1 403 No\r\nConnection: close, x\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"HTTP/1.0 503 x\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 204 \nA: b\n\n", "HTTP/1.1 101 x\r\nA: b\rC: d\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		response, early, err := answerTo(in)
		if err != nil {
			if !errors.Is(err, ErrBadAnswer) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		if response.StatusCode == http.StatusSwitchingProtocols {
			if len(in) <= 4096 && !strings.HasSuffix(in, early) {
				t.Fatalf("%q has %q behind its 101", in, early)
			}
			expectOneHead(t, in, handshake.AppendSwitching(nil, response.Header, handshake.Agreement{}, "pod-1"), "101 Switching Protocols")
			return
		}
		refused := &Refused{Status: response.StatusCode, Reason: reason(response), Header: response.Header, ContentLength: 0, Body: http.NoBody}
		var out bytes.Buffer
		if _, err := refused.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		expectOneHead(t, in, out.Bytes(), "")
	})
}

func expectOneHead(t *testing.T, in string, out []byte, status string) {
	t.Helper()
	response, rest, err := answerTo(string(out))
	switch {
	case err != nil:
		t.Fatalf("%q is passed on as %q: %v", in, out, err)
	case rest != "" || status != "" && response.Status != status:
		t.Fatalf("%q is passed on as %q: status %s, and then %q", in, out, response.Status, rest)
	}
}
