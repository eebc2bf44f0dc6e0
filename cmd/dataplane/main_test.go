// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

// asDataplane makes the test binary be the program.
const asDataplane = "WSPROXY_TEST_AS_DATAPLANE"

func TestMain(m *testing.M) {
	if os.Getenv(asDataplane) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// lines reads the log of a process: messages, and where it listens for clients.
type lines struct{ *bufio.Scanner }

// until returns the address in the line with a message.
func (l lines) until(t *testing.T, message string) (listen string) {
	t.Helper()
	for l.Scan() {
		var line struct{ Msg, Listen string }
		if json.Unmarshal(l.Bytes(), &line) == nil && line.Msg == message {
			return line.Listen
		}
	}
	t.Fatalf("the process ended without saying %q: %v", message, l.Err())
	return ""
}

func TestASecondSignalClosesEverybodyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.yaml")
	// The second of two is not closed within the first half of an hour.
	specified(t, path, `upstream: {url: "`+echo(t)+`"}, drain: {timeoutSeconds: 3600}`)
	process := exec.CommandContext(t.Context(), os.Args[0], "--config="+path,
		"--listen-address=127.0.0.1:0", "--control-address=127.0.0.1:0", "--metrics-address=127.0.0.1:0")
	process.Env = append(os.Environ(), asDataplane+"=1")
	stderr, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	log := lines{bufio.NewScanner(stderr)}
	url := "ws://" + log.until(t, "Started") + "/"
	var clients []*websocket.Conn
	for range 2 {
		conn, response, err := websocket.DefaultDialer.Dial(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		defer func() { _ = conn.Close() }()
		say(t, conn, "hello")
		clients = append(clients, conn)
	}
	for _, said := range []string{"drain begun", "Drain cut short"} {
		if err := process.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		log.until(t, said)
	}
	for _, conn := range clients {
		_, _, err = conn.ReadMessage()
		if closed := (*websocket.CloseError)(nil); !errors.As(err, &closed) || closed.Code != websocket.CloseServiceRestart {
			t.Errorf("a client was closed with %v, want 1012", err)
		}
	}
	for log.Scan() { // so that Wait does not cut the process off
	}
	if err := process.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
