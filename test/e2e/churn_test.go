// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// What is run where nobody says otherwise: `make churn` does, by CHURN and
// CHURN_RATE.
const (
	churnFor  = 40 * time.Second
	churnRate = 100
)

// stayFor is how long a client stays, on average.
const stayFor = 3 * time.Second

// equalWithin is far more than what a watch is behind, and than what it takes to list
// again after the last of several 410.
const equalWithin = time.Minute

// fault is something that happens to those whom informers depend on.
type fault struct {
	what string
	do   func(r *room, t *testing.T)
}

var faults = []fault{
	{"the process of a data-plane pod is killed", func(r *room, t *testing.T) { kill(t, oneOf(r.pods("echo"))) }},
	{"a replica of the API server is rolled", func(r *room, t *testing.T) {
		mustKubectl(t, "", "-n", operatorNamespace, "delete", "pod", oneOf(r.part("apiserver")).Name, "--wait=false")
	}},
	{"a data-plane pod is deleted by force", func(r *room, t *testing.T) {
		mustKubectl(t, "", "-n", r.namespace, "delete", "pod", oneOf(r.pods("echo")).Name, "--force", "--grace-period=0")
	}},
	{"a replica of the API server is killed", func(r *room, t *testing.T) { kill(t, oneOf(r.part("apiserver"))) }},
	{"a data-plane pod drains", func(r *room, t *testing.T) {
		mustKubectl(t, "", "-n", r.namespace, "delete", "pod", oneOf(r.pods("echo")).Name, "--wait=false")
	}},
}

func oneOf(pods []corev1.Pod) *corev1.Pod { return &pods[rand.IntN(len(pods))] }

// Clients come and go by the hundred, pods and replicas are killed, watches are cut:
// whenever the clients hold still, informers see exactly those that are connected, as
// the clients themselves know it.
func TestInformersStayEqualToTheTruth(t *testing.T) {
	lasts, rate := churnFor, float64(churnRate)
	if err := errors.Join(fromEnvironment("CHURN", &lasts, time.ParseDuration), fromEnvironment("CHURN_RATE", &rate, parseFloat)); err != nil {
		t.Fatal(err)
	}
	onlyLocal(t)
	r := newRoom(t, "e2e-churn", 2)
	p := r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Replicas = new(int32(3)) })
	r.spread(p)
	clients, err := fleet.StartChurn(t.Context(), fleet.ChurnOptions{
		Options:   fleet.Options{URL: r.url(p), Connections: max(1, int(rate*stayFor.Seconds())), HandshakeTimeout: 10 * time.Second},
		PerSecond: rate,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(clients.Stop)
	followers := []*follower{r.cutInformer(), r.runtimeCache()}
	began := time.Now()
	hold := func(what string) {
		clients.Hold()
		defer clients.Resume()
		r.holdsStill(clients, followers, what, time.Since(began))
	}
	hold("nothing has happened yet")
	between := max(min(lasts/time.Duration(len(faults)), 20*time.Second), 5*time.Second)
	for i := 0; time.Since(began) < lasts || i < len(faults); i++ {
		f := faults[i%len(faults)]
		f.do(r, t)
		time.Sleep(between)
		hold(f.what)
		r.whole()
	}
	hold("all is well again")
	totals := clients.Totals()
	took := time.Since(began)
	t.Logf("in %v %d clients came and %d left, %.0f and %.0f a second; %d lost their connection, %d were refused",
		took.Round(time.Second), totals.Came, totals.Left, float64(totals.Came)/took.Seconds(), float64(totals.Left)/took.Seconds(), totals.Lost, totals.Refused)
	for _, f := range followers {
		seen := f.tap.Report()
		t.Logf("%s: %d events; %v; behind for %v, %v at worst", f.what, f.events.Load(), seen, median(f.behind), slices.Max(f.behind))
		if n := seen.Unexplained(); n > 0 {
			t.Errorf("%s has listed %d times without need", f.what, n)
		}
	}
	if totals.Left == 0 || totals.Lost == 0 {
		t.Errorf("nobody has left, or nobody was thrown out: %+v", totals)
	}
}

func fromEnvironment[T any](name string, into *T, parse func(string) (T, error)) (err error) {
	if text := os.Getenv(name); text != "" {
		if *into, err = parse(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func parseFloat(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

func median(d []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)/2]
}

// holdsStill waits until every follower sees exactly the clients, of whom none comes
// or goes by itself.
func (r *room) holdsStill(clients *fleet.Churn, followers []*follower, what string, at time.Duration) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), equalWithin)
	defer cancel()
	start := time.Now()
	wrong := map[*follower]error{}
	for _, f := range followers {
		wrong[f] = errors.New("it was not asked")
	}
	for ; len(wrong) > 0 && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		for f := range wrong {
			if wrong[f] = f.wrong(clients); wrong[f] == nil {
				delete(wrong, f)
				f.behind = append(f.behind, time.Since(start).Round(time.Millisecond))
			}
		}
	}
	var took []time.Duration
	for _, f := range followers {
		if err := wrong[f]; err != nil {
			r.t.Fatalf("%s, %v after clients held still because %s: %v; %v", f.what, equalWithin, what, err, f.tap.Report())
		}
		took = append(took, f.behind[len(f.behind)-1])
	}
	r.t.Logf("%4.0f s: %s: %d clients, seen after %v", at.Seconds(), what, len(clients.Open()), took)
}

// whole waits until all pods are back.
func (r *room) whole() {
	r.t.Helper()
	eventually(r.t, 2*time.Minute, "all pods", func(context.Context) error {
		for _, part := range []struct {
			pods []corev1.Pod
			want int
		}{{r.pods("echo"), 3}, {r.part("apiserver"), 2}} {
			ready := 0
			for _, pod := range part.pods {
				if isReady(&pod) {
					ready++
				}
			}
			if ready != part.want || len(part.pods) != part.want {
				return fmt.Errorf("%d of %d pods are ready, want %d", ready, len(part.pods), part.want)
			}
		}
		return nil
	})
}
