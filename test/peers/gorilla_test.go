// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package peers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// serveGorilla is the echo server on gorilla. It returns its address, and says how
// each connection ended.
func serveGorilla(t *testing.T, ended func(code int, reason string)) string {
	upgrader := websocket.Upgrader{
		EnableCompression: true, Subprotocols: []string{"chat.v2"}, WriteBufferSize: 1024,
		CheckOrigin: func(*http.Request) bool { return true },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		answerReasons(conn)
		err = echo(conn)
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			ended(closed.Code, closed.Text)
			return
		}
		ended(websocket.CloseAbnormalClosure, "")
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// answerReasons lets a connection answer a close frame as it came; by itself it
// drops the reason.
func answerReasons(conn *websocket.Conn) {
	conn.SetCloseHandler(func(code int, reason string) error {
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(patience))
		return nil
	})
}

// echo echoes, and obeys what begins with a slash.
func echo(conn *websocket.Conn) error {
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		command, isCommand := strings.CutPrefix(string(message), "/")
		if kind != websocket.TextMessage || !isCommand {
			if err := conn.WriteMessage(kind, message); err != nil {
				return err
			}
			continue
		}
		switch words := strings.SplitN(command, " ", 3); words[0] {
		case "close":
			code, err := strconv.Atoi(words[1])
			if err != nil {
				return err
			}
			err = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, words[2]), time.Now().Add(patience))
			if err != nil {
				return err
			}
		case "abort":
			return conn.NetConn().Close()
		case "fragments":
			if _, err := io.WriteString(conn.NetConn(), "\x01\x04frag\x00\x03men\x00\x00\x80\x03ted"); err != nil {
				return err
			}
		}
	}
}

// talkGorilla is the client's part of the test on gorilla.
func talkGorilla(url string, say func(format string, args ...any)) error {
	dialer := websocket.Dialer{EnableCompression: true, Subprotocols: []string{"chat.v1", "chat.v2"}, WriteBufferSize: 1024}
	dial := func() (*websocket.Conn, *http.Response, error) {
		conn, response, err := dialer.Dial(url, nil)
		if err == nil {
			answerReasons(conn)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
		}
		return conn, response, err
	}
	conn, response, err := dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	say("subprotocol %s", conn.Subprotocol())
	say("compressed %v", strings.Contains(response.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate"))
	for _, size := range []int{0, 1, 125, 126, 127, 1023, 65535, 65536, 300_000} {
		for kind, sent := range map[int][]byte{
			websocket.TextMessage: bytes.Repeat([]byte("ä"), size/2), websocket.BinaryMessage: bytes.Repeat([]byte{1, 0xff, 3}, size/3+1),
		} {
			if err := conn.WriteMessage(kind, sent); err != nil {
				return err
			}
			if err := expect(conn, kind, sent); err != nil {
				return err
			}
		}
	}
	say("echo")
	w, err := conn.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	for range 100 { // What is larger than the buffer leaves in fragments.
		if _, err := io.WriteString(w, "a fragment of a message "); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := expect(conn, websocket.TextMessage, []byte(strings.Repeat("a fragment of a message ", 100))); err != nil {
		return err
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte("/fragments")); err != nil {
		return err
	}
	if err := expect(conn, websocket.TextMessage, []byte("fragmented")); err != nil {
		return err
	}
	say("fragments")
	pong := ""
	conn.SetPongHandler(func(s string) error { pong = s; return nil })
	_ = conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience))
	if err := conn.WriteMessage(websocket.TextMessage, []byte("behind the ping")); err != nil {
		return err
	}
	if err := expect(conn, websocket.TextMessage, []byte("behind the ping")); err != nil || pong != "are you there" {
		return fmt.Errorf("pong %q, %w", pong, err)
	}
	say("pong")
	if err := conn.WriteMessage(websocket.TextMessage, []byte("/close 4001 genug für heute")); err != nil {
		return err
	}
	code, reason := endOf(conn)
	say("closed %d %s", code, reason)
	for _, said := range [][]byte{websocket.FormatCloseMessage(4002, "tschüß"), {}} {
		conn, _, err := dial()
		if err != nil {
			return err
		}
		_ = conn.WriteControl(websocket.CloseMessage, said, time.Now().Add(patience))
		code, reason := endOf(conn)
		say("answered %d %s", code, reason)
		_ = conn.Close()
	}
	aborted, _, err := dial()
	if err != nil {
		return err
	}
	defer aborted.Close()
	_ = aborted.WriteMessage(websocket.TextMessage, []byte("/abort"))
	code, _ = endOf(aborted)
	say("aborted %d", code)
	leaving, _, err := dial()
	if err != nil {
		return err
	}
	say("left")
	return leaving.NetConn().Close()
}

func expect(conn *websocket.Conn, kind int, want []byte) error {
	got, message, err := conn.ReadMessage()
	if err != nil {
		return err
	}
	if got != kind || !bytes.Equal(message, want) {
		return fmt.Errorf("got %d bytes of kind %d, want %d of kind %d", len(message), got, len(want), kind)
	}
	return nil
}

// endOf reads until the end, and returns its code and reason.
func endOf(conn *websocket.Conn) (code int, reason string) {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
				return closed.Code, closed.Text
			}
			return -1, err.Error()
		}
	}
}
