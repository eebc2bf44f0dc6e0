// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gorilla/websocket"
)

// headerConnection is by which the client learns the name of its connection.
const headerConnection = "X-WebSocket-Connection-Id"

// greeting is what the client says and must be told again.
const greeting = "hello"

// dial opens a WebSocket, says something on it and is told the same. It returns the
// connection and its name in the API.
func dial(ctx context.Context, url string) (conn *websocket.Conn, name string, err error) {
	conn, response, err := websocket.DefaultDialer.DialContext(ctx, url, nil)
	if response != nil {
		defer response.Body.Close()
	}
	if errors.Is(err, websocket.ErrBadHandshake) {
		return nil, "", fmt.Errorf("open %s: answered %s", url, response.Status)
	}
	if err != nil {
		return nil, "", fmt.Errorf("open %s: %w", url, err)
	}
	if err := echoes(ctx, conn); err != nil {
		return nil, "", errors.Join(err, conn.Close())
	}
	return conn, response.Header.Get(headerConnection), nil
}

// echoes returns an error unless what is said on the connection comes back.
func echoes(ctx context.Context, conn *websocket.Conn) error {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetReadDeadline(deadline)
		_ = conn.SetWriteDeadline(deadline)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(greeting)); err != nil {
		return fmt.Errorf("say %q: %w", greeting, err)
	}
	_, answer, err := conn.ReadMessage()
	if err != nil {
		return fmt.Errorf("hear %q again: %w", greeting, err)
	}
	if string(answer) != greeting {
		return fmt.Errorf("said %q and heard %q", greeting, answer)
	}
	return nil
}

// ends waits for the close frame of a connection and returns its code and reason,
// 1006 where the connection ended without one. Errors: ctx ended first.
func ends(ctx context.Context, conn *websocket.Conn) (code int, reason string, err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		_, _, err := conn.ReadMessage()
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return 0, "", ctx.Err()
		}
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code, closed.Text, nil
		}
		return websocket.CloseAbnormalClosure, err.Error(), nil
	}
}

// codeOf is the close code with which reading ended.
func codeOf(err error) int {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return closed.Code
	}
	return websocket.CloseAbnormalClosure
}
