// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build peers

package peers

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// server is a peer behind the proxy.
type server struct {
	name string
	// start returns its address, and how its connections have ended once there are
	// so many.
	start func(t *testing.T) (address string, ended func(t *testing.T, n int) []string)
}

var servers = []server{
	{"gorilla", func(t *testing.T) (string, func(*testing.T, int) []string) {
		p := &program{name: "gorilla"}
		address := serveGorilla(t, func(code int, reason string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.said = append(p.said, fmt.Sprintf("closed %d %s", code, reason))
		})
		return address, func(t *testing.T, n int) []string { return p.await(t, "closed ", n) }
	}},
	{"python", serverProgram("/usr/bin/python3", "testdata/server.py")},
	{"ws", serverProgram("node", "testdata/server.js")},
}

func serverProgram(name string, args ...string) func(t *testing.T) (string, func(*testing.T, int) []string) {
	return func(t *testing.T) (string, func(*testing.T, int) []string) {
		p := start(t, name, args...)
		port := strings.TrimPrefix(p.await(t, "listening ", 1)[0], "listening ")
		return "127.0.0.1:" + port, func(t *testing.T, n int) []string { return p.await(t, "closed ", n) }
	}
}

// client is a peer in front of the proxy.
type client struct {
	name string
	// talk returns what it says.
	talk func(t *testing.T, url string) []string
	// lacks are lines of the script that it cannot say.
	lacks []string
}

var clients = []client{
	{"gorilla", func(t *testing.T, url string) (lines []string) {
		err := talkGorilla(url, func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) })
		if err != nil {
			t.Error(err)
		}
		return lines
	}, nil},
	// Its close always has a code.
	{"python", clientProgram("/usr/bin/python3", "testdata/client.py"), []string{"answered 1005"}},
	{"ws", clientProgram("node", "testdata/client.js"), nil},
	// A page can neither ping nor reset.
	{"chromium", browse, []string{"pong", "left"}},
}

func clientProgram(name string, args ...string) func(t *testing.T, url string) []string {
	return func(t *testing.T, url string) []string {
		cmd := exec.CommandContext(t.Context(), name, append(args, url)...)
		cmd.Env = append(cmd.Environ(), "PYTHONUTF8=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
}

// browse lets Chromium open a page that says its lines to us.
func browse(t *testing.T, proxy string) []string {
	said := make(chan string, 1)
	files := http.NewServeMux()
	files.Handle("GET /", http.FileServer(http.Dir("testdata")))
	files.HandleFunc("POST /lines", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		said <- string(body)
	})
	site := httptest.NewServer(files)
	defer site.Close()
	start(t, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
		"--user-data-dir="+t.TempDir(), site.URL+"/page.html?url="+url.QueryEscape(proxy))
	select {
	case lines := <-said:
		return strings.Split(lines, "\n")
	case <-time.After(2 * patience): // It starts slowly where others work, too.
		t.Error("the page said nothing")
		return nil
	}
}

// script is what a client says that can do everything.
var script = []string{
	"subprotocol chat.v2", "compressed true", "echo", "fragments", "pong",
	"closed 4001 genug für heute", "answered 4002 tschüß", "answered 1005", "aborted 1012", "left",
}

// ends are how the connections of the script end for the server.
var ends = map[string]string{
	"closed 4001 genug für heute": "closed 4001 genug für heute",
	"answered 4002 tschüß":        "closed 4002 tschüß",
	"answered 1005":               "closed 1005",
	"aborted 1012":                "closed 1006", // It went away itself.
	"left":                        "closed 1001 client lost",
}

func TestEveryClientTalksToEveryServer(t *testing.T) {
	for _, server := range servers {
		t.Run("to "+server.name, func(t *testing.T) {
			upstream, ended := server.start(t)
			proxy := proxied(t, upstream)
			var before int
			for _, client := range clients {
				t.Run("from "+client.name, func(t *testing.T) {
					var want, wantEnds []string
					for _, line := range script {
						if slices.Contains(client.lacks, line) {
							continue
						}
						want = append(want, line)
						if end, ok := ends[line]; ok {
							wantEnds = append(wantEnds, end)
						}
					}
					got := client.talk(t, "ws://"+proxy+"/chat?a=b")
					compare(t, "the client", got, want)
					compare(t, "the server", ended(t, before+len(wantEnds))[before:], wantEnds)
					before += len(wantEnds)
				})
			}
		})
	}
}

// compare compares lines in any order; a server may learn of two ends in another
// order than its clients.
func compare(t *testing.T, who string, got, want []string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	for i := range got {
		got[i] = strings.TrimRight(got[i], " ")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s said\n  %q, want\n  %q", who, got, want)
	}
}
