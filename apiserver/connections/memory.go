// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// perListed bytes are about what a connection takes until a list is written, as an
	// object, as a row of a table and as JSON, beside perText bytes for each byte of text
	// of which a client decides how long it is. Garbage comes on top: hack/bench/api has
	// measured 4.8 KB with it.
	perListed = 3 << 10
	perText   = 5
	// perWatched and perWatchedText are the same for a watch that begins with what there
	// is: that is written one by one.
	perWatched     = 1 << 10
	perWatchedText = 1
	// muchMemory is given back to the system when nothing holds any of it any more. Less
	// is soon used again.
	muchMemory = 64 << 20
)

// Memory bounds what lists, and watches that begin with what there is, hold of the
// memory of the server until they are written. It is an estimate, of whose bytes nobody
// may have more than half.
type Memory struct {
	most   int64
	onFull func()

	mu sync.Mutex
	// The fields below are guarded by mu. used is what all hold, and of what each user
	// does who holds anything.
	used int64
	of   map[string]int64
	// peak is the most that was used since memory was given back; giving says that it
	// is being given back.
	peak   int64
	giving bool
}

// NewMemory returns a Memory of so many bytes. onFull is called for each request that is
// answered 429, because others have it.
func NewMemory(bytes int64, onFull func()) *Memory {
	return &Memory{most: bytes, onFull: onFull, of: map[string]int64{}}
}

type accountKey struct{}

// For lets a request of a user hold memory until it is done.
func (m *Memory) For(ctx context.Context, user string) (_ context.Context, done func()) {
	a := &account{memory: m, user: user}
	return context.WithValue(ctx, accountKey{}, a), a.close
}

// account is what one request holds.
type account struct {
	memory *Memory
	user   string
	// The fields below are guarded by memory.mu. closed: it is not counted any more. full:
	// it was turned back.
	held         int64
	closed, full bool
}

// take counts what one connection more needs. The error is answered: tooLarge where there
// would not be enough if there were no other request, or 429.
func (a *account) take(bytes int64, tooLarge error) error {
	m := a.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case a.closed:
		return nil
	case a.held+bytes > m.most/2:
		return tooLarge
	case m.of[a.user]+bytes > m.most/2, m.used+bytes > m.most:
		if !a.full { // Many goroutines take for it.
			a.full = true
			m.onFull()
		}
		return apierrors.NewTooManyRequests("other lists take the memory that the server has for them: ask again, in pages (limit and continue)", 1)
	}
	a.held += bytes
	m.of[a.user] += bytes
	m.used += bytes
	m.peak = max(m.peak, m.used)
	return nil
}

// close gives back what the request held.
func (a *account) close() {
	m := a.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= a.held
	if m.of[a.user] -= a.held; m.of[a.user] == 0 {
		delete(m.of, a.user)
	}
	a.held, a.closed = 0, true
	if m.used > 0 || m.peak < muchMemory || m.giving {
		return
	}
	m.giving = true
	go m.giveBack()
}

// giveBack gives memory back to the system, which the runtime would do in the course of
// minutes.
func (m *Memory) giveBack() {
	// What is in a pool, such as the text of a list, goes with the second collection.
	runtime.GC()
	debug.FreeOSMemory()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peak, m.giving = m.used, false
}

// taker is what a query takes memory with: each for a connection, and perText for each
// byte of its texts. nil: nothing is counted.
func taker(ctx context.Context, each, perText int64, tooLarge error) func(texts int) error {
	a, ok := ctx.Value(accountKey{}).(*account)
	if !ok {
		return nil
	}
	return func(texts int) error { return a.take(each+perText*int64(texts), tooLarge) }
}

// settle gives back early what the request held, of which nothing more is counted.
func settle(ctx context.Context) {
	if a, ok := ctx.Value(accountKey{}).(*account); ok {
		a.close()
	}
}

// largeList is the answer where a list would be too large. To clients that go on from a
// version it is another one: that makes informers list in pages.
func largeList(goesOn bool) error {
	const what = "there are more connections than are listed at once"
	if goesOn {
		return apierrors.NewResourceExpired(what + ": list them in pages (limit and continue), without a resourceVersion")
	}
	return apierrors.NewBadRequest(what + ": list them in pages (limit and continue; kubectl: --chunk-size=500), or select fewer")
}

// errLargeWatch is the answer where there is too much to begin with. Informers list in
// pages then.
var errLargeWatch = apierrors.NewBadRequest("there are more connections than a watch may begin with: " +
	"list them in pages (limit and continue), and watch from the resourceVersion of the list")
