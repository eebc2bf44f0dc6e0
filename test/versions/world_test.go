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
	origins  map[string]*origin
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

// origin is where a connection is, or was.
type origin struct {
	pod     *pod
	process *registry.Registry
	// closed is the stamp of its end, or a little more; 0: it has none.
	closed clock.Stamp
}

// dead says that the process has ended.
func (o *origin) dead() bool { return !o.pod.alive || o.pod.registry != o.process }

func (p *pod) open() {
	c := &connection{phase: dataplanev1alpha1.Phase_PHASE_CONNECTING}
	c.entry = p.registry.Add(func(registry.ID) registry.Connection { return c })
	p.live[c.entry.ID().Name()] = c
	p.origins[c.entry.ID().Name()] = &origin{pod: p, process: p.registry}
}

func (p *pod) change(c *connection, random *rand.Rand) {
	c.phase = dataplanev1alpha1.Phase(2 + random.IntN(3))
	c.upstream = fmt.Sprintf("10.0.0.%d:80", random.IntN(3))
	p.registry.Report(c.entry.ID(), c.phase, c.upstream)
}

func (p *pod) close(name string) {
	p.registry.Remove(p.live[name].entry)
	p.origins[name].closed = p.registry.Clock().Last()
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
	// origins are those of all connections that there ever were, by name.
	origins map[string]*origin
	// calm histories have trouble of some kinds only, or seldom: what goes wrong slowly
	// is not undone by the next trouble.
	kinds [7]bool
	pace  int
	// slowest is the clock of a pod that is behind all others.
	slowest time.Duration
	// cuts is how many steps a watch lasts, on average.
	cuts int
	// told counts what has happened, to see that the histories are of some use.
	told map[string]int
}

func (w *world) between(most time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(most)))
}

// soon is at once as often as it is not.
func (w *world) soon(most time.Duration) time.Duration {
	if w.random.IntN(2) == 0 {
		return 0
	}
	return w.between(most)
}

func (w *world) birth() {
	w.born++
	p := &pod{name: fmt.Sprintf("pod %d", w.born), skew: w.slowest + w.between(4*time.Second), alive: true, origins: w.origins}
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
	p.deleted = time.Now().Add(w.soon(20 * time.Second))
	for i := range p.lost {
		p.lost[i] = p.deleted.Add(w.soon(20 * time.Second))
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

// Kinds of trouble.
const (
	born = iota
	drained
	killed
	restarted
	replicaRestarted
	relisted
	replicaCutOff
)

// choose decides what trouble there will be.
func (w *world) choose() {
	few := 2 + w.random.IntN(3)
	for kind := range w.kinds {
		w.kinds[kind] = w.random.IntN(few) == 0
	}
	w.pace = []int{10, 25, 100}[w.random.IntN(3)]
	w.cuts = []int{12, 60, 300}[w.random.IntN(3)]
	// What is apart by more than 5 s is not followed.
	w.slowest = -2*time.Second + w.between(1500*time.Millisecond)
}

// trouble is what happens to pods and replicas.
func (w *world) trouble() {
	kind := w.random.IntN(len(w.kinds))
	if w.random.IntN(w.pace) > 0 || !w.kinds[kind] {
		return
	}
	up := w.up()
	one := up[w.random.IntN(len(up))]
	i := w.random.IntN(2)
	switch {
	case kind == born && len(up) < 6:
		w.birth()
	case (kind == drained || kind == killed) && len(up) > 1:
		w.end(one, kind == drained)
	case kind == restarted:
		w.restart(one, w.random.IntN(3) == 0)
	case kind == replicaRestarted:
		w.replicas[i] = newReplica(w, i)
		if w.client.at != nil && w.client.at.index == i {
			w.client.cut()
		}
	case kind == relisted:
		w.replicas[i].merge.Relisted()
	case kind == replicaCutOff:
		w.replicas[i].cutOff(w.between(2 * time.Minute))
		if len(up) < 6 {
			w.birth() // Which it will not know of.
		}
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
