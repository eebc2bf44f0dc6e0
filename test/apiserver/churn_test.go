// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/test/tap"
)

// lively is a connection that changes.
type lively struct {
	connection
	upstream string
	phase    dataplanev1alpha1.Phase
}

// Describe implements registry.Connection.
func (c *lively) Describe(into *dataplanev1alpha1.Connection) {
	c.connection.Describe(into)
	c.mu.Lock()
	defer c.mu.Unlock()
	into.Phase, into.Upstream = c.phase, c.upstream
}

// load opens, changes and closes connections of one pod and keeps a record.
type load struct {
	pod *pod

	mu sync.Mutex
	// record, guarded by mu, has phase and upstream of what is open, by name.
	record map[string]string
	deeds  int
}

func (l *load) run(ctx context.Context, random *rand.Rand) {
	type open struct {
		entry *registry.Entry
		c     *lively
	}
	var all []open
	for ctx.Err() == nil {
		time.Sleep(time.Duration(random.Int64N(int64(10 * time.Millisecond))))
		l.mu.Lock()
		l.deeds++
		i := random.IntN(len(all) + 1)
		switch {
		case i == len(all) || len(all) < 20 && random.IntN(3) > 0:
			c := &lively{connection: connection{sourceIP: "192.0.2.1", path: "/", since: time.Now()}, phase: dataplanev1alpha1.Phase_PHASE_CONNECTING}
			e := l.pod.registry.Add(func(registry.ID) registry.Connection { return c })
			all = append(all, open{e, c})
			l.record[e.ID().Name()] = "Connecting "
		case random.IntN(2) == 0:
			o := all[i]
			o.c.mu.Lock()
			o.c.phase = dataplanev1alpha1.Phase(2 + random.IntN(2))
			o.c.upstream = fmt.Sprintf("10.0.0.%d:80", random.IntN(3))
			l.pod.registry.Report(o.entry.ID(), o.c.phase, o.c.upstream)
			l.record[o.entry.ID().Name()] = map[dataplanev1alpha1.Phase]string{
				dataplanev1alpha1.Phase_PHASE_OPEN: "Open ", dataplanev1alpha1.Phase_PHASE_RECONNECTING: "Reconnecting ",
			}[o.c.phase] + o.c.upstream
			o.c.mu.Unlock()
		default:
			l.pod.registry.Remove(all[i].entry)
			delete(l.record, all[i].entry.ID().Name())
			all = append(all[:i], all[i+1:]...)
		}
		l.mu.Unlock()
	}
}

// anyOf passes each request of alice on to one of several servers.
type anyOf []string

// RoundTrip implements http.RoundTripper.
func (hosts anyOf) RoundTrip(request *http.Request) (*http.Response, error) {
	target, err := url.Parse(hosts[rand.IntN(len(hosts))])
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Header.Set("X-Test-User", "alice")
	request.URL.Host, request.URL.Scheme, request.Host = target.Host, target.Scheme, target.Host
	return http.DefaultTransport.RoundTrip(request)
}

// informer is one of client-go.
func informer(t *testing.T, config *rest.Config, namespace string) cache.SharedIndexInformer {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	resource := connectionsv1alpha1.GroupVersion.WithResource(connectionsv1alpha1.ResourceConnections)
	i := dynamicinformer.NewFilteredDynamicInformer(client, resource, namespace, 0, cache.Indexers{}, func(*metav1.ListOptions) {}).Informer()
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		i.RunWithContext(t.Context())
	}()
	t.Cleanup(func() { <-ran })
	return i
}

// difference is empty where an informer sees what was recorded.
func difference(i cache.SharedIndexInformer, loads []*load) string {
	want := map[string]string{}
	for _, l := range loads {
		l.mu.Lock()
		for name, is := range l.record {
			want[name] = is
		}
		l.mu.Unlock()
	}
	for _, object := range i.GetStore().List() {
		o := object.(*unstructured.Unstructured)
		phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
		upstream, _, _ := unstructured.NestedString(o.Object, "status", "upstream")
		is, known := want[o.GetName()]
		switch {
		case !known:
			return "stale " + o.GetName()
		case is != phase+" "+upstream:
			return fmt.Sprintf("%s is %q, not %s %s", o.GetName(), is, phase, upstream)
		}
		delete(want, o.GetName())
	}
	for name := range want {
		return "missing " + name
	}
	return ""
}

// settle waits until the informer sees what was recorded, which does not change any
// more.
func settle(t *testing.T, i cache.SharedIndexInformer, loads []*load) {
	t.Helper()
	wrong := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if wrong = difference(i, loads); wrong == "" {
			return
		}
	}
	t.Errorf("%v after the last change: %s", patience, wrong)
}

// Informers behind two replicas, whose watches are cut again and again, while pods come,
// drain and are killed.
func TestInformersSeeWhatIsThroughChurn(t *testing.T) {
	r := newRoom(t)
	second := r.replica()
	cut := tap.New(tap.Options{Next: anyOf{r.url, second}, CutAtLeast: time.Second, CutAfter: 2 * time.Second})
	steady := tap.New(tap.Options{Next: anyOf{r.url}})
	var loads []*load
	seed := uint64(0)
	begin := func(name string) (p *pod, stop context.CancelFunc, stopped *sync.WaitGroup) {
		p = r.pod("shop", "echo", name)
		l := &load{pod: p, record: map[string]string{}}
		loads = append(loads, l)
		ctx, cancel := context.WithCancel(t.Context())
		stopped = &sync.WaitGroup{}
		seed++
		random := rand.New(rand.NewPCG(seed, 9))
		stopped.Go(func() { l.run(ctx, random) })
		return p, cancel, stopped
	}
	_, stopA, a := begin("echo-a")
	b, stopB, bEnds := begin("echo-b")
	many := informer(t, &rest.Config{Host: "http://many", Transport: cut, QPS: -1}, "")
	one := informer(t, &rest.Config{Host: "http://one", Transport: steady, QPS: -1}, "shop")
	if !cache.WaitForCacheSync(t.Context().Done(), many.HasSynced, one.HasSynced) {
		t.Fatal("not synced")
	}
	pause := func() { time.Sleep(2 * time.Second) }
	pause()
	c, stopC, cEnds := begin("echo-c")
	pause()
	// One drains.
	stopC()
	cEnds.Wait()
	drained := loads[2]
	c.draining.Store(true)
	for e := range c.registry.All() {
		c.registry.Remove(e)
	}
	drained.mu.Lock()
	clear(drained.record)
	drained.mu.Unlock()
	c.stop()
	pause()
	r.remove(c)
	_, stopD, d := begin("echo-d")
	pause()
	// One is killed.
	stopB()
	bEnds.Wait()
	b.stop()
	r.remove(b)
	loads[1].mu.Lock()
	clear(loads[1].record)
	loads[1].mu.Unlock()
	pause()
	pause()
	stopA()
	stopD()
	a.Wait()
	d.Wait()
	settle(t, many, loads)
	settle(t, one, loads)
	deeds := 0
	for _, l := range loads {
		deeds += l.deeds
	}
	for what, through := range map[string]*tap.Tap{"two replicas": cut, "one replica": steady} {
		seen := through.Report()
		t.Logf("%s: %d deeds, %v", what, deeds, seen)
		if n := seen.Unexplained(); n > 0 {
			t.Errorf("%s: listed %d times without need", what, n)
		}
	}
}
