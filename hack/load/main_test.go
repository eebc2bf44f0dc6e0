// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers each message, but those that forget says to.
func echo(t *testing.T, forget func(n int) bool) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for n := 0; ; n++ {
			kind, payload, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if !forget(n) && conn.WriteMessage(kind, payload) != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func TestRunPrintsASummaryAndWritesTheRecord(t *testing.T) {
	f := flags{duration: 1500 * time.Millisecond, report: filepath.Join(t.TempDir(), "report.json"), expectAll: true, expectOpen: true}
	f.URL, f.Connections, f.Rate, f.Size = echo(t, func(int) bool { return false }), 3, 50, 64
	var out bytes.Buffer
	if err := run(t.Context(), f, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"open 3/3", "3 opened, 0 failed, 0 closed early", " 0 missing, 0 duplicated", `3 x closed by us 1000`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, &out)
		}
	}
	raw, err := os.ReadFile(f.report)
	if err != nil {
		t.Fatal(err)
	}
	var report fleet.Report
	if err := json.Unmarshal(raw, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Records) != 3 || report.Totals.Sent == 0 || report.Totals.Sent != report.Totals.Received {
		t.Errorf("report says %+v", report.Totals)
	}
}

func TestWhatHappenedToClientsIsToldOnce(t *testing.T) {
	report := &fleet.Report{Records: []fleet.Record{
		{Number: 0, ID: "p-0"},
		{Number: 1, ID: "p-1", Early: true, Code: 4001, Reason: "moved"},
		{Number: 2, ID: "p-2", Code: 1000},
		{Number: 3, Failure: "refused with 403"},
		{Number: 4, Failure: "refused with 403"},
	}}
	told := told{closed: map[int]bool{}, failures: map[string]bool{}}
	for _, want := range [][]string{{"client 1, connection p-1: closed with code 4001 \"moved\"", "client 3: refused with 403"}, nil} {
		var out bytes.Buffer
		told.tell(report, &out)
		var got []string
		for line := range strings.Lines(out.String()) {
			_, text, _ := strings.Cut(strings.TrimSpace(line), " ") // It begins with the time.
			got = append(got, text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}

// Without --duration, and with nobody who would interrupt it.
func TestRunEndsWhenNoClientIsLeftAndSaysWhy(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this origin is not allowed", http.StatusForbidden)
	}))
	t.Cleanup(refusing.Close)
	closing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "go"), time.Now().Add(time.Minute))
		_ = conn.Close()
	}))
	t.Cleanup(closing.Close)
	for url, want := range map[string]string{
		refusing.URL: `2 x not opened: refused with 403 Forbidden "this origin is not allowed"`,
		closing.URL:  `2 x closed early 4001 "go"`,
	} {
		f := flags{expectOpen: true}
		f.URL, f.Connections = "ws"+strings.TrimPrefix(url, "http"), 2
		var out bytes.Buffer
		err := run(t.Context(), f, &out)
		if !errors.Is(err, fleet.ErrClosed) || !strings.Contains(out.String(), want) {
			t.Errorf("run returned %v, and says\n%s, want %s", err, &out, want)
		}
		if strings.Contains(err.Error(), "403") {
			t.Errorf("the error repeats what the summary says: %v", err)
		}
	}
}

func TestRunFailsWhereAMessageWasLost(t *testing.T) {
	f := flags{duration: 500 * time.Millisecond, expectAll: true, expectOpen: true}
	f.URL, f.Connections, f.Rate, f.Settle = echo(t, func(n int) bool { return n == 3 }), 1, 50, time.Second
	if err := run(t.Context(), f, &bytes.Buffer{}); !errors.Is(err, fleet.ErrLost) {
		t.Errorf("run returned %v, want %v", err, fleet.ErrLost)
	}
}
