// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
)

// A process that has no descriptors left goes on with what is open, answers 503 or
// lets clients wait, does not spin, and has room again when somebody leaves.
func TestWithoutDescriptorsNothingThatIsOpenIsLost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the limit is set, and the processor time read, as Linux has it")
	}
	for _, scheme := range []string{"ws", "wss"} {
		for _, files := range []int{96, 97} { // A connection takes two.
			t.Run(fmt.Sprintf("%s, %d files", scheme, files), func(t *testing.T) {
				t.Parallel()
				withoutDescriptors(t, scheme, files)
			})
		}
	}
}

func withoutDescriptors(t *testing.T, scheme string, files int) {
	const talking, most, late = 8, 200, 16
	backend := startBackend(t)
	go func() {
		for {
			select {
			case up := <-backend.accepted:
				go echo(up)
			case <-t.Context().Done():
				return
			}
		}
	}()
	environment := []string{fmt.Sprintf("%s=%d", maxFiles, files)}
	if goroutines {
		environment = append(environment, withGoroutines+"=1")
	}
	if scheme == "wss" {
		dir := t.TempDir()
		certstest.New(t).Write(t, filepath.Join(dir, "crt"), filepath.Join(dir, "key"), "x")
		environment = append(environment, withTLS+"="+dir)
	}
	m := startMeasured(t, strings.TrimPrefix(backend.url, "ws://"), environment...)
	dial := func(timeout time.Duration) (*websocket.Conn, *http.Response, error) {
		dialer := websocket.Dialer{
			HandshakeTimeout: timeout,
			TLSClientConfig:  &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- who it is does not matter here.
		}
		return dialer.DialContext(t.Context(), scheme+"://"+m.address+"/", nil)
	}

	var echoes [talking]atomic.Int64
	stop, ended := make(chan struct{}), make(chan error, talking)
	for i := range talking {
		client, _, err := dial(patience)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer client.Close()
			for {
				select {
				case <-stop:
					ended <- nil
					return
				case <-time.After(20 * time.Millisecond):
				}
				want := fmt.Sprint(i, " ", echoes[i].Load())
				_ = client.SetReadDeadline(time.Now().Add(patience))
				err := client.WriteMessage(websocket.TextMessage, []byte(want))
				var got []byte
				if err == nil {
					_, got, err = client.ReadMessage()
				}
				if err == nil && string(got) != want {
					err = fmt.Errorf("got %q, want %q", got, want)
				}
				if err != nil {
					ended <- err
					return
				}
				echoes[i].Add(1)
			}
		}()
	}

	refused := func(response *http.Response, err error) {
		t.Helper()
		if timeout, ok := errors.AsType[net.Error](err); response == nil && (!ok || !timeout.Timeout()) {
			t.Errorf("neither refused nor left to wait: %v", err)
		}
		if response != nil && (response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "") {
			t.Errorf("refused with %s, Retry-After %q: %v", response.Status, response.Header.Get("Retry-After"), err)
		}
	}
	var open []*websocket.Conn
	for {
		client, response, err := dial(2 * time.Second)
		if err != nil {
			refused(response, err)
			break
		}
		if open = append(open, client); len(open) == most {
			t.Fatalf("%d connections in %d descriptors", most, files)
		}
	}
	answers := make(chan error, late)
	for range late {
		go func() {
			client, response, err := dial(patience)
			if err != nil {
				refused(response, err)
				if response != nil {
					err = nil
				}
			} else {
				_ = client.Close()
			}
			answers <- err
		}()
	}

	var before [talking]int64
	for i := range echoes {
		before[i] = echoes[i].Load()
	}
	begun, cpu := time.Now(), m.cpu()
	for i := range echoes {
		eventually(t, "who was there goes on talking", func() bool { return echoes[i].Load() > before[i]+20 })
	}
	// A loop that accepts in vain has all the processor that it gets.
	if used, took := m.cpu()-cpu, time.Since(begun); used > took/4 {
		t.Errorf("%v of processor time in %v", used, took)
	}

	for _, client := range open {
		_ = client.Close()
	}
	for range late {
		if err := <-answers; err != nil {
			t.Errorf("a client that waited: %v", err)
		}
	}
	eventually(t, "there is room again", func() bool {
		client, response, err := dial(patience)
		if err != nil {
			refused(response, err)
			return false
		}
		return client.Close() == nil
	})
	close(stop)
	for range talking {
		if err := <-ended; err != nil {
			t.Errorf("who was there: %v", err)
		}
	}
}

// cpu is the processor time that the process has had.
func (m *measured) cpu() time.Duration {
	m.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.pid))
	if err != nil {
		m.t.Fatal(err)
	}
	// Fields 14 and 15 of proc(5), in hundredths of a second; the second is the name,
	// in brackets.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		m.t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
