// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	"github.com/wsproxy/wsproxy/apiserver/merge"
)

const (
	// tickEvery is how often it is looked for pods that have fallen silent.
	tickEvery = 500 * time.Millisecond
	// maxJoins are asked of all pods together at a time.
	maxJoins = 64
)

// hub brings what pods say to those who watch: with one stream for each pod that
// anybody watches, and none for others.
type hub struct {
	timeout time.Duration
	// lasting is until the fleet stops.
	lasting context.Context
	end     context.CancelFunc
	joining chan struct{} // An element for each join under way.
	running sync.WaitGroup

	mu sync.Mutex
	// The fields below are guarded by mu. It is taken with that of the fleet held, and
	// never the other way round.
	replica *merge.Replica[*Pod]
	pods    map[*Pod]*feed
}

// feed is the stream of one pod.
type feed struct {
	pod *Pod
	// ask has an element when a report is wanted.
	ask chan struct{}
	// stop ends it; nil while nobody wants it.
	stop context.CancelFunc
	// useless is since when nobody watches the pod, while there is a stream.
	useless time.Time
}

func newHub(timeout time.Duration) *hub {
	lasting, end := context.WithCancel(context.Background())
	return &hub{
		timeout: timeout, lasting: lasting, end: end, joining: make(chan struct{}, maxJoins),
		replica: merge.New[*Pod](steadyWall()), pods: map[*Pod]*feed{},
	}
}

// steadyWall returns wall time that does not go back when it is set back: then pods
// whose clocks are right would seem to be ahead.
func steadyWall() func() time.Time {
	began := time.Now()
	return func() time.Time {
		now := time.Now().Round(0)
		if steady := began.Round(0).Add(time.Since(began)); steady.After(now) {
			return steady
		}
		return now
	}
}

func (h *hub) appear(p *Pod) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pods[p] = &feed{pod: p, ask: make(chan struct{}, 1)}
	h.replica.Appear(p, p.restarts > 0)
	h.feedLocked()
}

func (h *hub) leave(p *Pod) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.pods[p]; f != nil && f.stop != nil {
		f.stop()
	}
	delete(h.pods, p)
	h.replica.Leave(p)
}

func (h *hub) restarted(p *Pod) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replica.Restarted(p)
}

func (h *hub) relisted() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replica.Relisted()
}

func (h *hub) outdated() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replica.Outdated()
}

// check refuses the clock of a pod, and reports it.
func (h *hub) check(p *Pod, began clock.Stamp) error {
	h.mu.Lock()
	err := h.replica.Check(began)
	h.mu.Unlock()
	if err != nil {
		p.problem("says that it is later than it can be", err)
	}
	return err
}

// feedLocked sees to it that there is a stream of every pod that is watched.
func (h *hub) feedLocked() {
	for p, f := range h.pods {
		wanted := h.replica.Watched(p)
		switch {
		case wanted && f.stop == nil:
			ctx, stop := context.WithCancel(h.lasting)
			f.stop = stop
			h.running.Go(func() { h.follow(ctx, f) })
			fallthrough
		case wanted:
			f.useless = time.Time{}
		case f.stop != nil && f.useless.IsZero():
			f.useless = time.Now()
		}
	}
}

// streams counts those of pods that are open, or are being opened.
func (h *hub) streams() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.pods {
		if f.stop != nil {
			n++
		}
	}
	return n
}

// tick looks for silent pods, and for streams that nobody has wanted for a while,
// until ctx ends.
func (h *hub) tick(ctx context.Context) {
	regularly := time.NewTicker(tickEvery)
	defer regularly.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-regularly.C:
			h.tickOnce()
		}
	}
}

func (h *hub) tickOnce() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replica.Tick()
	for p, f := range h.pods {
		if f.stop != nil && !f.useless.IsZero() && time.Since(f.useless) > linger {
			f.stop()
			f.stop, f.useless = nil, time.Time{}
			h.replica.Unfollow(p)
		}
	}
}

// wait ends every stream and every join, and returns when they have.
func (h *hub) wait() {
	h.end()
	h.running.Wait()
}
