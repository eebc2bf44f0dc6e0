// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

const (
	fromNow      = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
	withState    = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
	tableAccept  = "application/json;as=Table;v=v1;g=meta.k8s.io"
	metaAccept   = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	initialEnded = metav1.InitialEventsAnnotationKey
)

// watching is a watch as its client sees it.
type watching struct {
	*testing.T
	events chan event
	stop   context.CancelFunc
	last   int64
}

type event struct {
	Type   watch.EventType
	Object json.RawMessage
}

func (e event) connection(t *testing.T) (c connectionsv1alpha1.WebSocketConnection) {
	t.Helper()
	if err := json.Unmarshal(e.Object, &c); err != nil {
		t.Fatalf("%v: %s", err, e.Object)
	}
	return c
}

// watch begins one that must be answered with 200.
func (r *room) watch(namespace, query string) *watching {
	r.Helper()
	return r.watchAs(namespace, query, "")
}

func (r *room) watchAs(namespace, query, accept string) *watching {
	r.Helper()
	return r.watchOf("alice", namespace, query, accept)
}

func (r *room) watchOf(user, namespace, query, accept string) *watching {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path(namespace)+"?"+query, nil)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("X-Test-User", user)
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		r.Fatalf("%s is answered %d", query, response.StatusCode)
	}
	w := &watching{T: r.T, events: make(chan event, 10_000), stop: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(w.events)
		defer response.Body.Close()
		for decoder := json.NewDecoder(response.Body); ; {
			var e event
			if decoder.Decode(&e) != nil {
				return
			}
			w.events <- e
		}
	}()
	r.Cleanup(func() {
		cancel()
		<-ended
	})
	return w
}

// next is the next event, whose version must not be below the one before.
func (w *watching) next() event {
	w.Helper()
	select {
	case e, ok := <-w.events:
		if !ok {
			w.Fatal("the watch has ended")
		}
		return e
	case <-time.After(patience):
		w.Fatalf("no event within %v", patience)
	}
	return event{}
}

// want expects an event of a type about a connection.
func (w *watching) want(kind watch.EventType, name string) connectionsv1alpha1.WebSocketConnection {
	w.Helper()
	e := w.next()
	c := e.connection(w.T)
	if e.Type != kind || c.Name != name {
		w.Fatalf("%s %s, want %s %s: %s", e.Type, c.Name, kind, name, e.Object)
	}
	version, err := strconv.ParseInt(c.ResourceVersion, 10, 64)
	if err != nil || version < w.last {
		w.Errorf("version %q after %d", c.ResourceVersion, w.last)
	}
	w.last = version
	return c
}

// wantState expects the connections, in any order, and the mark of their end.
func (w *watching) wantState(names []string) {
	w.Helper()
	left := map[string]bool{}
	for _, name := range names {
		left[name] = true
	}
	for {
		e := w.next()
		c := e.connection(w.T)
		if e.Type == watch.Bookmark {
			if c.Annotations[initialEnded] != "true" || len(left) > 0 {
				w.Fatalf("%d are missing before %s", len(left), e.Object)
			}
			w.last, _ = strconv.ParseInt(c.ResourceVersion, 10, 64)
			return
		}
		if e.Type != watch.Added || !left[c.Name] {
			w.Fatalf("%s %s", e.Type, e.Object)
		}
		delete(left, c.Name)
	}
}

// wantEnd expects that the watch ends with a Status.
func (w *watching) wantEnd(code int32) metav1.Status {
	w.Helper()
	var s metav1.Status
	for {
		e := w.next()
		if e.Type == watch.Bookmark {
			continue
		}
		if err := json.Unmarshal(e.Object, &s); err != nil || e.Type != watch.Error || s.Code != code {
			w.Fatalf("%s %s", e.Type, e.Object)
		}
		return s
	}
}

func (p *pod) report(name string, phase dataplanev1alpha1.Phase, upstream string) {
	p.registry.Report(p.entries[name].ID(), phase, upstream)
}

func (p *pod) close(name string) { p.registry.Remove(p.entries[name]) }

const (
	phaseOpen         = dataplanev1alpha1.Phase_PHASE_OPEN
	phaseReconnecting = dataplanev1alpha1.Phase_PHASE_RECONNECTING
)

func TestAWatchThatBeginsWithWhatThereIs(t *testing.T) {
	r := newRoom(t)
	a, b := r.pod("shop", "echo", "echo-a"), r.pod("shop", "echo", "echo-b")
	other := r.pod("other", "echo", "echo-c")
	other.connect(3)
	w := r.watch("shop", withState)
	w.wantState(nil)
	w.stop()

	names := append(a.connect(700), b.connect(5)...)
	w = r.watch("shop", withState)
	w.wantState(names)
	one := b.connect(1)[0]
	if c := w.want(watch.Added, one); c.Namespace != "shop" || c.Spec.Pod != "echo-b" || c.Kind != "WebSocketConnection" {
		t.Errorf("%+v", c)
	}
	b.report(one, phaseOpen, "10.0.0.7:8080")
	w.want(watch.Modified, one)
	a.report(names[0], phaseReconnecting, "")
	if c := w.want(watch.Modified, names[0]); c.Status.Phase != "Reconnecting" || c.Status.Upstream != "" {
		t.Errorf("%+v", c.Status)
	}
	other.connect(1) // Nobody here is told.
	b.close(one)
	c := w.want(watch.Deleted, one)
	// It is that version which get says, and from which one goes on.
	if got := r.get(path("shop", names[0])).object(http.StatusOK); got.ResourceVersion >= c.ResourceVersion {
		t.Errorf("get says %s, before %s", got.ResourceVersion, c.ResourceVersion)
	}
}

func TestAWatchGoesOnFromAList(t *testing.T) {
	r := newRoom(t)
	a, b := r.pod("shop", "echo", "echo-a"), r.pod("shop", "echo", "echo-b")
	old := append(a.connect(3), b.connect(3)...)
	version := r.get(path("shop") + "?limit=2").list().ResourceVersion
	a.close(old[0])
	young := b.connect(1)[0]
	// What is known is said again of pods that began a moment ago: others may not have
	// known them.
	w := r.watch("shop", "watch=1&resourceVersion="+version)
	left := map[string]bool{old[1]: true, old[2]: true, old[3]: true, old[4]: true, old[5]: true, young: true}
	view := map[string]bool{}
	for !maps.Equal(view, left) {
		e := w.next()
		c := e.connection(t)
		if view[c.Name] = true; e.Type == watch.Deleted {
			delete(view, c.Name)
		}
	}
	w.last = 0
	next := b.connect(1)[0]
	w.want(watch.Added, next)
	b.close(next)
	w.want(watch.Deleted, next)
}

func TestVersionsFromWhichNothingGoesOn(t *testing.T) {
	r := newRoom(t, podTimeout(2*time.Second))
	p := r.pod("shop", "echo", "echo-a")
	p.connect(1)
	before := p.registry.Clock().Now()
	now := strconv.FormatInt(time.Now().Add(time.Minute).UnixMicro(), 10)
	for version, want := range map[string]int{
		"9223372036854775807": http.StatusGone, "99999999999999999999": http.StatusGone, now: http.StatusGone, "1": http.StatusGone, "17": http.StatusGone,
		"yesterday": http.StatusBadRequest, "-1": http.StatusBadRequest, "1.5": http.StatusBadRequest,
	} {
		a := r.get(path("shop") + "?watch=1&resourceVersion=" + version)
		if a.code != want {
			t.Errorf("%s: %d, want %d: %s", version, a.code, want, a.body)
		}
		if want == http.StatusGone {
			a.refusal(http.StatusGone, metav1.StatusReasonExpired, "")
		}
		if a := r.get(path("shop") + "?resourceVersion=" + version + "&resourceVersionMatch=NotOlderThan"); len(version) > 15 && a.code != want {
			t.Errorf("list %s: %d, want %d: %s", version, a.code, want, a.body)
		}
	}
	if moved := p.registry.Clock().Now() - before; moved > 30_000_000 {
		t.Errorf("what a client sent has moved a clock by %d µs", moved)
	}
	// A list that is not complete.
	r.silentPod("shop", "echo", "echo-silent")
	version := r.get(path("shop")).list().ResourceVersion
	r.get(path("shop")+"?watch=1&resourceVersion="+version).refusal(http.StatusGone, metav1.StatusReasonExpired, "")
	// And no end mark over a pod that is missing.
	a := r.get(path("shop") + "?" + withState)
	a.refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestAWatchOfWhatIsSelected(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	q := r.pod("shop", "chat", "chat-a")
	names := p.connect(3)
	q.connect(2)
	for _, name := range names {
		p.report(name, phaseOpen, "10.0.0.7:8080")
	}
	open := r.watch("shop", withState+"&labelSelector=wsproxy.io/proxy%3Decho&fieldSelector=status.phase%3DOpen")
	open.wantState(names)
	lost := r.watch("", withState+"&fieldSelector=status.phase%3DReconnecting")
	lost.wantState(nil)
	single := r.watch("shop", withState+"&fieldSelector=metadata.name%3D"+names[1])
	single.wantState(names[1:2])
	address := r.watch("shop", withState+"&fieldSelector=spec.sourceIP%3D192.0.2.2,spec.proxy%3Decho")
	address.wantState(names[2:])

	q.connect(1)
	p.report(names[1], phaseReconnecting, "")
	open.want(watch.Deleted, names[1])
	lost.want(watch.Added, names[1])
	single.want(watch.Modified, names[1])
	p.report(names[2], phaseOpen, "10.0.0.8:8080")
	open.want(watch.Modified, names[2])
	address.want(watch.Modified, names[2])
	p.report(names[1], phaseOpen, "10.0.0.8:8080")
	open.want(watch.Added, names[1])
	lost.want(watch.Deleted, names[1])
	p.close(names[1])
	open.want(watch.Deleted, names[1])
	single.want(watch.Modified, names[1])
	single.want(watch.Deleted, names[1])
}

func TestAWatchShowsTheClosing(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	w := r.watch("shop", withState)
	w.wantState([]string{name})
	r.call(call{method: http.MethodDelete, path: path("shop", name)}).object(http.StatusOK)
	if c := w.want(watch.Modified, name); c.DeletionTimestamp == nil || c.Status.Phase != "Closing" {
		t.Errorf("%+v", c)
	}
	p.close(name)
	w.want(watch.Deleted, name)
}

func TestPodsThatComeAndGoWhileTheyAreWatched(t *testing.T) {
	r := newRoom(t)
	a := r.pod("shop", "echo", "echo-a")
	w := r.watch("shop", withState)
	w.wantState(nil)
	first := a.connect(1)[0]
	w.want(watch.Added, first)

	b := newPod("shop", "echo", "echo-b", someUID())
	names := b.connect(2)
	b.serve(r.T, r.authority, r.port)
	r.add(b)
	w.want(watch.Added, names[0])
	w.want(watch.Added, names[1])

	// It drains: everything is told, and the watch goes on without it.
	b.draining.Store(true)
	b.close(names[0])
	b.close(names[1])
	w.want(watch.Deleted, names[0])
	w.want(watch.Deleted, names[1])
	b.stop()
	time.Sleep(time.Second) // Nothing tells when its last words have arrived. Kubelets take longer.
	r.remove(b)
	second := a.connect(1)[0]
	w.want(watch.Added, second)

	// It is killed: nobody will ever tell what has become of its connections.
	a.stop()
	r.remove(a)
	if s := w.wantEnd(http.StatusGone); s.Reason != metav1.StatusReasonExpired {
		t.Errorf("%+v", s)
	}
}

func TestAPodThatSaysNothingEndsTheWatch(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	w := r.watch("shop", withState)
	w.wantState(nil)
	p.stop()
	w.wantEnd(http.StatusGone)
}

// A fleet that has much to tell takes longer for all of it than a pod may take to
// answer.
func TestAWatchBeginsHoweverLongPodsGoOnTelling(t *testing.T) {
	const timeout, every = 3 * time.Second, 100 * time.Millisecond
	r := newRoom(t, podTimeout(timeout))
	p := newPod("shop", "echo", "echo-a", someUID())
	s := &slow{pod: p, chunks: int(timeout/every) + 10, every: every}
	r.run(p, s)
	var want []string
	for n := range s.chunks {
		want = append(want, s.name(n))
	}
	r.watch("shop", withState).wantState(want)
}

// A million connections of others do not have to be told of.
func TestPodsAreAskedForTheClientThatIsWanted(t *testing.T) {
	r := newRoom(t)
	p := newPod("shop", "echo", "echo-a", someUID())
	s := &slow{pod: p, chunks: 1, every: time.Millisecond}
	r.run(p, s)
	const selected = "&fieldSelector=spec.sourceIP=::ffff:192.0.2.7"
	if got := r.get(path("shop") + "?limit=500" + selected).list(); len(got.Items) > 0 {
		t.Errorf("lists %v of a pod that does not know what it is asked for", namesOf(got))
	}
	r.watch("shop", withState+selected).wantState(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.asked, []string{"192.0.2.7", "192.0.2.7"}) {
		t.Errorf("it was asked for %q", s.asked)
	}
}

// slow tells of one connection after the other, each well within the time for an answer.
type slow struct {
	dataplanev1alpha1.UnimplementedConnectionsServer
	pod    *pod
	chunks int
	every  time.Duration

	mu sync.Mutex
	// asked, guarded by mu, are the clients whose connections were asked for.
	asked []string
}

func (s *slow) name(n int) string { return fmt.Sprintf("%s-%08d", s.pod.id, n) }

// List implements the service.
func (s *slow) List(r *dataplanev1alpha1.ListRequest, stream grpc.ServerStreamingServer[dataplanev1alpha1.ListResponse]) error {
	s.mu.Lock()
	s.asked = append(s.asked, r.GetSourceIp())
	s.mu.Unlock()
	for n := range s.chunks {
		time.Sleep(s.every)
		chunk := &dataplanev1alpha1.ListResponse{
			PodId: string(s.pod.id), Clock: r.GetClock() + 1, Connections: []*dataplanev1alpha1.Connection{saying(s.name(n))},
		}
		if err := stream.Send(chunk); err != nil {
			return err
		}
	}
	return nil
}

// Watch implements the service: nothing ever changes.
func (s *slow) Watch(stream grpc.BidiStreamingServer[dataplanev1alpha1.WatchRequest, dataplanev1alpha1.WatchResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	for boot, now := time.Now().UnixMicro(), first.GetClock(); stream.Context().Err() == nil; time.Sleep(s.every) {
		now = max(now+1, time.Now().UnixMicro())
		if err := stream.Send(&dataplanev1alpha1.WatchResponse{PodId: string(s.pod.id), Boot: boot, Clock: now}); err != nil {
			return err
		}
	}
	return nil
}

func TestAWatchAsATableAndAsMetadata(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	table := r.watchAs("shop", withState, tableAccept)
	meta := r.watchAs("shop", withState, metaAccept)
	for what, w := range map[string]*watching{"Table": table, "PartialObjectMetadata": meta} {
		if e := w.next(); e.Type != watch.Bookmark || !strings.Contains(string(e.Object), initialEnded) {
			t.Errorf("%s: %s %s", what, e.Type, e.Object)
		}
	}
	name := p.connect(1)[0]
	var rows metav1.Table
	if e := table.next(); e.Type != watch.Added || json.Unmarshal(e.Object, &rows) != nil || rows.Kind != "Table" || len(rows.Rows) != 1 || rows.Rows[0].Cells[0] != name {
		t.Errorf("%s %s", e.Type, e.Object)
	}
	var one metav1.PartialObjectMetadata
	if e := meta.next(); e.Type != watch.Added || json.Unmarshal(e.Object, &one) != nil || one.Kind != "PartialObjectMetadata" || one.Name != name || strings.Contains(string(e.Object), "spec") {
		t.Errorf("%s %s", e.Type, e.Object)
	}
}

// A bookmark comes also while nothing happens, and before the end that was asked for.
func TestAWatchOfNothingIsBookmarked(t *testing.T) {
	r := newRoom(t)
	r.pod("shop", "echo", "echo-a")
	w := r.watch("shop", withState+"&timeoutSeconds=3")
	w.wantState(nil)
	began := w.last
	for e := range w.events {
		c := e.connection(t)
		version, err := strconv.ParseInt(c.ResourceVersion, 10, 64)
		if e.Type != watch.Bookmark || err != nil || version <= began || c.Annotations[initialEnded] != "" {
			t.Errorf("%s %s", e.Type, e.Object)
		}
		began = version
	}
	if began == w.last {
		t.Error("there was no bookmark")
	}
}

// One stream for each pod, however many watch.
func TestManyWhoWatchShareTheStreams(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	var all []*watching
	for range 80 { // More than a pod would take.
		all = append(all, r.watch("shop", withState))
	}
	for _, w := range all {
		w.wantState(nil)
	}
	names := p.connect(20)
	for i, w := range all {
		for _, name := range names {
			w.want(watch.Added, name)
		}
		w.stop()
		if i == 0 {
			p.report(names[0], phaseOpen, fmt.Sprint("10.0.0.7:", 1))
		}
	}
}

// The garbage collector of Kubernetes keeps a node for every object that it is shown.
func TestTheGarbageCollectorIsShownNothing(t *testing.T) {
	r := newRoom(t)
	names := r.pod("shop", "echo", "echo-a").connect(3)
	count := func(c call) int {
		c.user = "system:kube-controller-manager"
		var list metav1.PartialObjectMetadataList
		r.call(c).into(http.StatusOK, &list)
		if version, err := strconv.ParseInt(list.ResourceVersion, 10, 64); err != nil || version < time.Now().Add(-time.Minute).UnixMicro() {
			t.Errorf("version %q", list.ResourceVersion)
		}
		return len(list.Items)
	}
	const lists = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
	if n := count(call{path: path(""), accept: lists}); n != 0 {
		t.Errorf("it is shown %d", n)
	}
	// The namespace controller may ask as the same user, and others may be anybody.
	if n := count(call{path: path("shop"), accept: lists}); n != len(names) {
		t.Errorf("a namespace has %d", n)
	}
	if n := count(call{path: path("")}); n != len(names) {
		t.Errorf("of whole objects it is shown %d", n)
	}
	w := r.watchOf("system:kube-controller-manager", "", withState, metaAccept)
	if e := w.next(); e.Type != watch.Bookmark || !strings.Contains(string(e.Object), initialEnded) {
		t.Errorf("%s %s", e.Type, e.Object)
	}
}
