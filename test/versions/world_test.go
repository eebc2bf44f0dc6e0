// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package versions

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// kept changes are few, so that who is behind is too far behind now and then.
const kept = 400

// connection is one that reports its changes, and does nothing else.
type connection struct {
	registry.Connection
	entry    *registry.Entry
	phase    dataplanev1alpha1.Phase
	upstream string
}

func (c *connection) Describe(into *dataplanev1alpha1.Connection) {
	into.Phase, into.Upstream = c.phase, c.upstream
}

// pod is a Pod object with a process.
type pod struct {
	name  string
	skew  time.Duration
	alive bool
	// registry is that of the process; drained says how it ended.
	registry *registry.Registry
	drained  bool
	live     map[string]*connection
	restarts int

	deleted time.Time // When its object goes.
	// When each replica learns of its birth, of its end, and of its last restart.
	seen, lost, told [2]time.Time
}

func (p *pod) boot() {
	p.registry = registry.NewWith(registry.NewPodID(p.name, time.Now()), registry.Options{
		Now:     func() time.Time { return time.Now().Add(p.skew) },
		History: registry.Bounds{Changes: kept},
	})
	p.live = map[string]*connection{}
}

func (p *pod) open() {
	c := &connection{phase: dataplanev1alpha1.Phase_PHASE_CONNECTING}
	c.entry = p.registry.Add(func(registry.ID) registry.Connection { return c })
	p.live[c.entry.ID().Name()] = c
}

func (p *pod) change(c *connection, random *rand.Rand) {
	c.phase = dataplanev1alpha1.Phase(2 + random.IntN(3))
	c.upstream = fmt.Sprintf("10.0.0.%d:80", random.IntN(3))
	p.registry.Report(c.entry.ID(), c.phase, c.upstream)
}

func (p *pod) close(name string) {
	p.registry.Remove(p.live[name].entry)
	delete(p.live, name)
}

func (p *pod) drain() {
	for _, name := range slices.Sorted(maps.Keys(p.live)) {
		p.close(name)
	}
	p.drained = true
}

// read is what a watch of the process says: changes from a stamp on, at most so many.
func (p *pod) read(from clock.Stamp, atMost int) (*dataplanev1alpha1.WatchResponse, bool, error) {
	into := make([]registry.Change, atMost)
	n, reached, err := p.registry.Changes(from, into)
	if err != nil {
		return nil, false, err
	}
	said := &dataplanev1alpha1.WatchResponse{
		Clock: int64(max(reached, from-1)), PodId: string(p.registry.PodID()), Boot: int64(p.registry.Clock().Boot()),
	}
	for _, c := range into[:n] {
		said.Changes = append(said.Changes, &dataplanev1alpha1.Change{
			Kind: dataplanev1alpha1.Change_Kind(c.Kind), Connection: c.Describe(), Before: c.Before,
		})
	}
	return said, n < atMost, nil
}

// all is read until there is no more.
func (p *pod) all(from clock.Stamp) (*dataplanev1alpha1.WatchResponse, error) {
	whole := &dataplanev1alpha1.WatchResponse{}
	for {
		said, last, err := p.read(from, 100)
		if err != nil {
			return nil, err
		}
		said.Changes = append(whole.Changes, said.Changes...)
		whole, from = said, clock.Stamp(said.GetClock())+1
		if last {
			return whole, nil
		}
	}
}

var errGone = errors.New("it is gone")

// world is everything there is.
type world struct {
	random   *rand.Rand
	pods     []*pod
	replicas [2]*replica
	client   *client
	born     int
	// told counts what has happened, to see that the histories are of some use.
	told map[string]int
}

func (w *world) between(most time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(most)))
}

func (w *world) birth() {
	w.born++
	p := &pod{name: fmt.Sprintf("pod %d", w.born), skew: w.between(4*time.Second) - 2*time.Second, alive: true}
	p.boot()
	for i := range p.seen {
		p.seen[i] = time.Now().Add(w.between(30 * time.Second))
	}
	w.pods = append(w.pods, p)
}

func (w *world) up() (up []*pod) {
	for _, p := range w.pods {
		if p.alive {
			up = append(up, p)
		}
	}
	return up
}

// end is the end of a pod.
func (w *world) end(p *pod, drain bool) {
	if drain {
		p.drain()
	}
	p.alive = false
	p.deleted = time.Now().Add(w.between(20 * time.Second))
	for i := range p.lost {
		p.lost[i] = p.deleted.Add(w.between(20 * time.Second))
		if p.lost[i].Before(p.seen[i]) {
			p.lost[i] = p.seen[i]
		}
	}
}

// restart is another process in the same pod, which the kubelet tells of late.
func (w *world) restart(p *pod, drain bool) {
	if drain {
		p.drain()
	}
	p.boot()
	p.drained = false
	p.restarts++
	for i := range p.told {
		p.told[i] = time.Now().Add(w.between(5 * time.Second))
	}
}

// traffic is what clients of the pods do.
func (w *world) traffic() {
	up := w.up()
	for range w.random.IntN(6) {
		p := up[w.random.IntN(len(up))]
		names := slices.Sorted(maps.Keys(p.live))
		switch k := w.random.IntN(4); {
		case len(names) > 0 && k == 0:
			p.close(names[w.random.IntN(len(names))])
		case len(names) > 0 && k == 1:
			p.change(p.live[names[w.random.IntN(len(names))]], w.random)
		case len(names) < 20:
			p.open()
		}
	}
}

// trouble is what happens to pods and replicas.
func (w *world) trouble() {
	up := w.up()
	one := up[w.random.IntN(len(up))]
	switch k := w.random.IntN(200); {
	case k <= 1 && len(up) < 6:
		w.birth()
	case k == 2 && len(up) > 1:
		w.end(one, true)
	case k == 3 && len(up) > 1:
		w.end(one, false)
	case k == 4:
		w.restart(one, w.random.IntN(3) == 0)
	case k == 5:
		i := w.random.IntN(2)
		w.replicas[i] = newReplica(w, i)
		if w.client.at != nil && w.client.at.index == i {
			w.client.cut()
		}
	case k == 6:
		w.replicas[w.random.IntN(2)].merge.Relisted()
	}
}

func (w *world) step(quiet bool) {
	time.Sleep(time.Millisecond + w.between(400*time.Millisecond))
	if !quiet {
		w.traffic()
		w.trouble()
	}
	for _, r := range w.replicas {
		r.step()
	}
	w.client.step(quiet)
}

// truth is every connection that there is.
func (w *world) truth() map[string]seen {
	truth := map[string]seen{}
	for _, p := range w.up() {
		for name, c := range p.live {
			truth[name] = seen{c.phase, c.upstream}
		}
	}
	return truth
}
