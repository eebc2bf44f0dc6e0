// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"k8s.io/apimachinery/pkg/types"
)

// No pod of a hundred answers before every other one has been asked, so only who
// pushes to all of them side by side gets an answer at all; and one of them hangs
// throughout.
func TestAHundredPodsArePushedToSideBySideAndOneThatHangsDelaysNobody(t *testing.T) {
	const hundred = 100
	pki := newPKI(t)
	r := newRoom(t, pki, func(o *Options) { o.Timeout = patience })
	var asked roll
	all := make(chan struct{})
	pods := make([]*pod, hundred)
	for i := range pods {
		p := newPod(t, pki, fmt.Sprintf("pod-%d", i), echo)
		p.answer = func() error { asked.tick(p); <-all; return nil }
		pods[i] = p
	}
	hung, others := pods[0], pods[1:]
	release := make(chan struct{})
	hung.answer = func() error { asked.tick(hung); <-release; return nil }

	for round, retries := range []int32{1, 2} {
		version := uint64(10 + round)
		complete := asked.begin(pods[round:]) // The one that hangs is not asked a second time.
		r.set(version, retries, pods...)
		<-complete
		if round == 0 {
			close(all)
		}
		for _, p := range others {
			r.until(p, func(p Pod) bool { return p.Acknowledged && p.Version == version })
		}
		if got := r.Pods(echo)[types.UID(hung.name)]; got.Acknowledged || got.Version != 0 {
			t.Errorf("the pod that hangs is known as %+v", got)
		}
	}
	close(release)
	r.until(hung, func(p Pod) bool { return p.Acknowledged && p.Version == 11 })
}

// roll knows which pods have not been asked yet. One may be asked more than once: when
// its connection comes up, for example.
type roll struct {
	mu       sync.Mutex
	missing  map[*pod]bool
	complete chan struct{}
}

// begin returns what is closed when each of the pods has been asked.
func (r *roll) begin(pods []*pod) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing, r.complete = map[*pod]bool{}, make(chan struct{})
	for _, p := range pods {
		r.missing[p] = true
	}
	return r.complete
}

func (r *roll) tick(p *pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.missing[p] {
		return
	}
	if delete(r.missing, p); len(r.missing) == 0 {
		close(r.complete)
	}
}

// counted returns what the metrics say of a result, and how many durations were
// observed.
func (r *room) counted(result string) (pushes float64, durations uint64) {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			durations += m.GetHistogram().GetSampleCount()
			if len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == result {
				pushes = m.GetCounter().GetValue()
			}
		}
	}
	return pushes, durations
}

func TestPushesAreCountedByTheirResult(t *testing.T) {
	pki := newPKI(t)
	r := newRoom(t, pki, func(o *Options) { o.Poll = 50 * time.Millisecond })
	p := newPod(t, pki, "a", echo)
	r.set(10, 1, p)
	r.until(p, acknowledged)
	r.set(10, 1, p) // Nothing has changed,
	r.set(11, 1, p) // nor has anything but the version.
	r.set(12, 2, p)
	r.until(p, func(p Pod) bool { return p.Acknowledged && p.Version == 12 })
	for result, want := range map[string]float64{"applied": 2, "skipped": 2, "failed": 0} {
		if got, durations := r.counted(result); got != want || durations != 2 {
			t.Errorf("%v %s, want %v; %d durations, want 2", got, result, want, durations)
		}
	}
	p.server.Stop()
	r.until(p, func(p Pod) bool { return p.Problem != nil && p.Problem.Code == codes.Unavailable })
	if got, _ := r.counted("failed"); got == 0 {
		t.Error("a pod that was not reached is not counted")
	}
}
