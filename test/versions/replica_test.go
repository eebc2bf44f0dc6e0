// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package versions

import (
	"cmp"
	"slices"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/merge"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// replica is the merge of one, with what it does over a network in the API server.
type replica struct {
	*world
	index    int
	merge    *merge.Replica[*pod]
	known    map[*pod]bool
	restarts map[*pod]int // That the kubelet has told of.
	streams  map[*pod]*stream
	joins    []*joining
	// away is until when nothing is learned of the pods; confirmed is when they were
	// known last as they were, and next when that is tried again.
	away, confirmed, next time.Time
}

// How old the view of the pods may be, and how often it is brought up to now.
const (
	staleAfter   = 30 * time.Second
	confirmEvery = 10 * time.Second
)

// stream is one that is open to a process.
type stream struct {
	process *registry.Registry
	next    clock.Stamp
}

// joining is a join under way.
type joining struct {
	join merge.Join[*pod]
	at   time.Time
	// answer is what the pod said, which comes later than it was said.
	process string
	before  clock.Stamp
	said    *dataplanev1alpha1.WatchResponse
	listed  []*dataplanev1alpha1.Connection
	err     error
	read    bool
}

func newReplica(w *world, index int) *replica {
	// No two clocks are further apart than pods follow.
	skew := w.between(time.Second) - time.Second/2
	r := &replica{
		world: w, index: index, merge: merge.New[*pod](func() time.Time { return time.Now().Add(skew) }),
		known: map[*pod]bool{}, restarts: map[*pod]int{}, streams: map[*pod]*stream{},
	}
	r.sync() // It begins with a list of the pods.
	r.merge.Relisted()
	return r
}

// cutOff keeps the replica from learning of the pods.
func (r *replica) cutOff(lasts time.Duration) {
	if time.Now().After(r.away) {
		r.away = time.Now().Add(lasts)
		r.told["cut off from the pods"]++
	}
}

// confirm brings the view of the pods up to now regularly. It ends the watches where
// that has not been possible for too long.
func (r *replica) confirm() {
	now := time.Now()
	if now.Before(r.next) {
		return
	}
	r.next = now.Add(confirmEvery)
	if !r.sync() && now.Sub(r.confirmed) > staleAfter {
		r.merge.Outdated()
	}
}

// observe brings the view of the pods forward.
func (r *replica) observe() {
	now := time.Now()
	if now.Before(r.away) {
		return
	}
	for _, p := range r.pods {
		exists := !now.Before(p.seen[r.index]) && (p.alive || now.Before(p.lost[r.index]))
		switch {
		case exists && !r.known[p]:
			r.known[p] = true
			if !now.Before(p.told[r.index]) {
				r.restarts[p] = p.restarts
			}
			r.merge.Appear(p, r.restarts[p] > 0)
		case !exists && r.known[p]:
			delete(r.known, p)
			delete(r.streams, p)
			r.merge.Leave(p)
		case !exists && !now.Before(p.seen[r.index]) && !p.alive && r.restarts[p] >= 0:
			// It came and went before the view came forward: both are told.
			r.restarts[p] = -1
			r.merge.Appear(p, p.restarts > 0)
			r.merge.Leave(p)
		case exists && r.restarts[p] < p.restarts && !now.Before(p.told[r.index]):
			r.restarts[p] = p.restarts
			r.merge.Restarted(p)
		}
	}
}

// sync is a consistent read of the pods: what exists now is known, and what was
// deleted is known to be gone. It returns false where that cannot be had.
func (r *replica) sync() bool {
	now := time.Now()
	if now.Before(r.away) {
		return false
	}
	for _, p := range r.pods {
		if now.Before(p.seen[r.index]) {
			p.seen[r.index] = now
		}
		if !p.alive && !now.Before(p.deleted) && now.Before(p.lost[r.index]) {
			p.lost[r.index] = now
		}
	}
	r.observe()
	r.confirmed = now
	return true
}

func (r *replica) step() {
	r.observe()
	r.confirm()
	for _, p := range r.pods {
		if r.known[p] {
			r.follow(p)
		}
	}
	r.merge.Tick()
	if c := r.client; c != nil && c.at == r && c.watch != nil {
		joins := c.watch.Joins()
		slices.SortFunc(joins, func(a, b merge.Join[*pod]) int { return cmp.Compare(a.Pod.name, b.Pod.name) })
		for _, j := range joins {
			r.joins = append(r.joins, &joining{join: j, at: time.Now().Add(r.between(time.Second))})
		}
		behind := c.watch.Behind()
		slices.SortFunc(behind, func(a, b *pod) int { return cmp.Compare(a.name, b.name) })
		for _, p := range behind {
			if p.alive && r.random.IntN(2) == 0 {
				_, _ = p.registry.Clock().MovePast(r.merge.Now())
			}
		}
	}
	r.answer()
}

// follow is what a stream does within a step, if there is anybody who wants it.
func (r *replica) follow(p *pod) {
	s := r.streams[p]
	switch {
	case !r.merge.Watched(p):
		if s != nil {
			delete(r.streams, p)
			r.merge.Unfollow(p)
		}
		return
	case s != nil && s.process != p.registry, s != nil && !p.alive && !p.drained, s != nil && r.random.IntN(60) == 0:
		delete(r.streams, p) // It broke.
		return
	case s == nil && (!p.alive || r.random.IntN(2) == 0):
		return
	case s == nil:
		s = &stream{p.registry, r.merge.From(p)}
		if err := meet(p, r.merge.Now()); err != nil {
			panic(err)
		}
		if s.next == 0 {
			s.next = p.registry.Clock().Now() + 1
		}
		r.streams[p] = s
	case r.random.IntN(4) == 0:
		return // This report is late.
	}
	said, last, err := p.read(s.next, 1+r.random.IntN(20))
	if err != nil {
		r.told["behind"]++
		delete(r.streams, p)
		r.merge.Behind(p)
		return
	}
	s.next = clock.Stamp(said.GetClock()) + 1
	said.Ended = p.drained && !p.alive && last
	if err := r.merge.Hear(p, said); err != nil {
		panic(err)
	}
	if said.GetEnded() {
		delete(r.streams, p)
	}
}

// answer goes on with the joins: a pod answers, and later that comes.
func (r *replica) answer() {
	var left []*joining
	for _, j := range r.joins {
		if time.Now().Before(j.at) || !r.answerOne(j) {
			left = append(left, j)
		}
	}
	r.joins = left
}

func (r *replica) answerOne(j *joining) (over bool) {
	p := j.join.Pod
	if !j.read {
		j.read, j.at = true, time.Now().Add(r.between(time.Second))
		switch {
		case !p.alive:
			j.err = errGone
		case j.join.List:
			j.process = string(p.registry.PodID())
			j.before, j.listed, j.err = list(p, j.join.Clock)
		default:
			j.process, j.before = string(p.registry.PodID()), p.registry.Clock().Last()
			if j.err = meet(p, j.join.Clock); j.err == nil {
				j.said, j.err = p.all(j.join.From)
			}
		}
		return false
	}
	switch {
	case j.err != nil:
		r.told["join failed"]++
		j.join.Failed(j.err)
	case j.join.List:
		r.told["join by list"]++
		j.join.Listed(j.process, j.listed, j.before)
	case !j.join.Replayed(j.process, j.before, j.said.GetChanges(), clock.Stamp(j.said.GetClock())):
		j.read = false
		return false
	default:
		r.told["join by replay"]++
	}
	return true
}

// meet moves the clock of a pod that is followed from now on.
func meet(p *pod, sent clock.Stamp) error {
	_, err := p.registry.Clock().MovePast(sent)
	return err
}

// list is what the list of a process is.
func list(p *pod, sent clock.Stamp) (began clock.Stamp, all []*dataplanev1alpha1.Connection, err error) {
	if began, err = p.registry.Clock().MovePast(sent); err != nil {
		return 0, nil, err
	}
	for e := range p.registry.All() {
		all = append(all, e.Describe())
	}
	return began, all, nil
}
