// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package tap

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options of a Tap.
type Options struct {
	// Next sends the requests.
	Next http.RoundTripper
	// CutAfter is how long a watch that can be resumed lives at most; 0: until somebody
	// else ends it.
	CutAfter time.Duration
	// CutAtLeast is how long it lives in any case. client-go lists again after a watch
	// that lasted less than a second and said nothing.
	CutAtLeast time.Duration
}

// Tap passes on the requests of one informer.
type Tap struct {
	options Options

	mu sync.Mutex
	// The fields below are guarded by mu. why is what has made it necessary to begin
	// from scratch, since that was tried last; empty: nothing. failed says that it was
	// that which failed.
	why     string
	failed  bool
	lists   int
	resumes int
	cuts    int
	// relists counts why it was begun from scratch again, and retries why that had to be
	// tried again.
	relists, retries map[string]int
}

// New returns one that has seen nothing yet.
func New(options Options) *Tap {
	return &Tap{options: options, relists: map[string]int{}, retries: map[string]int{}}
}

// unexplained is why an informer lists that nobody has told to.
const unexplained = "nothing"

// RoundTrip implements http.RoundTripper.
func (t *Tap) RoundTrip(request *http.Request) (*http.Response, error) {
	query := request.URL.Query()
	watches := query.Get("watch") != ""
	resumes := watches && query.Get("sendInitialEvents") != "true"
	// The rest of a list is no list of its own.
	if query.Get("continue") == "" {
		t.begins(resumes)
	}
	ctx, cut := context.WithCancel(request.Context())
	response, err := t.options.Next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cut()
		t.because("no answer", !resumes)
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		t.because(fmt.Sprint(response.StatusCode)+inWords(response), !resumes)
	}
	said := &body{ReadCloser: response.Body, tap: t, cut: cut, watches: watches && response.StatusCode == http.StatusOK, resumable: resumes}
	if resumes {
		said.cutSoon()
	}
	response.Body = said
	return response, nil
}

// inWords is what an answer says that is no Status: then it is not of the server that
// was to be asked, but of one on the way. It can still be read.
func inWords(response *http.Response) string {
	// What cannot be read, nobody else can read either.
	said, _ := io.ReadAll(io.LimitReader(response.Body, 300))
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(said), response.Body), response.Body}
	if text := strings.TrimSpace(string(said)); text != "" && !strings.HasPrefix(text, "{") {
		return " " + text
	}
	return ""
}

func (t *Tap) begins(resumes bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if resumes {
		t.resumes++
		return
	}
	if t.lists++; t.lists > 1 {
		if t.why == "" {
			t.why = unexplained
		}
		if t.failed {
			t.retries[t.why]++
		} else {
			t.relists[t.why]++
		}
	}
	t.why, t.failed = "", false
}

// because notes a reason to begin from scratch; the first one counts. failed says that
// it was just that which failed.
func (t *Tap) because(why string, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why == "" {
		t.why, t.failed = why, failed
	}
}

// lifetime of a watch that can be resumed; 0: no end.
func (t *Tap) lifetime() time.Duration {
	if t.options.CutAfter == 0 {
		return 0
	}
	return t.options.CutAtLeast + rand.N(t.options.CutAfter-t.options.CutAtLeast) // #nosec G404 -- no secret.
}

func (t *Tap) wasCut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cuts++
}

// Report is what a Tap has seen.
type Report struct {
	// Lists are those who began from scratch, the first one among them; Resumes went on
	// from a version; Cuts are watches that the Tap cut.
	Lists, Resumes, Cuts int
	// Relists counts why it was begun from scratch again, where there was something to
	// go on from: a code of HTTP, with what was said where that was no Status, or words. Retries counts why that was tried again.
	Relists, Retries map[string]int
}

// Report returns what was seen so far.
func (t *Tap) Report() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Report{Lists: t.lists, Resumes: t.resumes, Cuts: t.cuts, Relists: maps.Clone(t.relists), Retries: maps.Clone(t.retries)}
}

// Unexplained is how often it was begun from scratch although nobody had said that it
// was necessary.
func (r Report) Unexplained() int { return r.Relists[unexplained] }

func (r Report) String() string {
	return fmt.Sprintf("%d times from scratch, again because of %v, and once more because of %v; %d times resumed, after %d cuts", r.Lists, r.Relists, r.Retries, r.Resumes, r.Cuts)
}
