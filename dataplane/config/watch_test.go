// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"go.uber.org/goleak"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched is a store that watches a file in a bubble of fake time.
type watched struct {
	*config.Store
	t    *testing.T
	path string
	log  *strings.Builder
	// taken are the files that were put in force.
	taken *[]*config.File
}

// inBubble runs test with a watch on the file at path.
func inBubble(t *testing.T, path string, test func(watched)) {
	synctest.Test(t, func(t *testing.T) {
		file, err := config.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		log := &strings.Builder{}
		logger := funcr.New(func(_, line string) { log.WriteString(line + "\n") }, funcr.Options{})
		w := watched{Store: config.NewStore(file.Config, ""), t: t, path: path, log: log, taken: new([]*config.File)}
		go w.Watch(ctx, path, file, func(f *config.File) { *w.taken = append(*w.taken, f) }, logger)
		synctest.Wait()
		test(w)
		cancel()
		synctest.Wait()
	})
}

// retriesAfter lets time pass and returns maxRetries in force.
func (w watched) retriesAfter(d time.Duration) int {
	time.Sleep(d)
	synctest.Wait()
	return w.Current().MaxRetries
}

func (w watched) want(retries int) {
	w.t.Helper()
	if got := w.retriesAfter(2 * time.Second); got != retries {
		w.t.Errorf("maxRetries %d in force, want %d; log:\n%s", got, retries, w.log)
	}
}

func withRetries(n string) string {
	return strings.Replace(manifest, "connectTimeout: 5", "maxRetries: "+n, 1)
}

func TestAnEditIsPutInForce(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "proxy.yaml"), withRetries("10"))
	inBubble(t, path, func(w watched) {
		w.want(10)
		write(t, path, withRetries("11"))
		w.want(11)
		if len(*w.taken) != 1 || (*w.taken)[0].Config != w.Current() {
			t.Errorf("one edit was taken %d times:\n%s", len(*w.taken), w.log)
		}
	})
}

func TestAnEditByRenameIsPutInForce(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "proxy.yaml"), withRetries("10"))
	inBubble(t, path, func(w watched) {
		if err := os.Rename(write(t, path+"~", withRetries("12")), path); err != nil {
			t.Fatal(err)
		}
		w.want(12)
	})
}

// A mounted ConfigMap is a link through ..data, which is swapped.
func TestASwappedLinkIsPutInForce(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"10", "13"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "proxy.yaml"), withRetries(version))
	}
	link := func(to string) {
		temporary := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(to, temporary); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	link("10")
	path := filepath.Join(dir, "proxy.yaml")
	if err := os.Symlink("..data/proxy.yaml", path); err != nil {
		t.Fatal(err)
	}
	inBubble(t, path, func(w watched) {
		link("13")
		w.want(13)
	})
}

func TestABadEditIsLoggedOnceAndChangesNothing(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "proxy.yaml"), withRetries("10"))
	inBubble(t, path, func(w watched) {
		write(t, path, withRetries("101"))
		w.want(10)
		w.want(10)
		if got := strings.Count(w.log.String(), "spec.settings.maxRetries: Invalid value: 101"); got != 1 {
			t.Errorf("the bad edit was logged %d times:\n%s", got, w.log)
		}
		write(t, path, withRetries("14"))
		w.want(14)
	})
}

// What a configuration needs besides itself may come later.
func TestAnEditThatIsRefusedIsTriedAgain(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "proxy.yaml"), withRetries("10"))
	inBubble(t, path, func(w watched) {
		refuse := errors.New("there is no certificate")
		var mu sync.Mutex
		w.Require(func(*config.Config) error {
			mu.Lock()
			defer mu.Unlock()
			return refuse
		})
		write(t, path, withRetries("11"))
		w.want(10)
		w.want(10)
		if got := strings.Count(w.log.String(), "unusable configuration: there is no certificate"); got != 1 {
			t.Errorf("the refusal was logged %d times:\n%s", got, w.log)
		}
		mu.Lock()
		refuse = nil
		mu.Unlock()
		w.want(11)
	})
}

func TestAFileThatIsAwayChangesNothing(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "proxy.yaml"), withRetries("10"))
	inBubble(t, path, func(w watched) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		w.want(10)
		if got := strings.Count(w.log.String(), "cannot be read"); got != 1 {
			t.Errorf("the absent file was logged %d times:\n%s", got, w.log)
		}
		write(t, path, withRetries("15"))
		w.want(15)
	})
}

func TestAFileOfAnotherProxyChangesNothing(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "proxy.yaml"), withRetries("10"))
	inBubble(t, path, func(w watched) {
		write(t, path, strings.Replace(withRetries("11"), "name: echo", "name: other", 1))
		w.want(10)
		if !strings.Contains(w.log.String(), "another proxy") {
			t.Errorf("log:\n%s", w.log)
		}
	})
}

// A file that grows in front of each look is never taken for a short one.
func TestAFileThatIsBeingWrittenIsWaitedFor(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "proxy.yaml"), withRetries("10"))
	inBubble(t, path, func(w watched) {
		content := withRetries("11")
		for range 8 {
			content += "# more\n"
			write(t, path, content)
			if got := w.retriesAfter(500 * time.Millisecond); got != 10 {
				t.Fatalf("a file that is being written was put in force: maxRetries %d", got)
			}
		}
		w.want(11)
	})
}
