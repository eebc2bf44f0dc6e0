// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// connection remembers how it was disconnected.
type connection struct {
	userAgent, sourceIP string

	mu      sync.Mutex
	closing *registry.Disconnect // guarded by mu
	// sent is guarded by mu; answers is what a Send is answered with.
	sent    []registry.Send
	answers error
}

func newConnection(registry.ID) registry.Connection { return &connection{} }

// newVerbose is of a client that sent a long header.
func newVerbose(registry.ID) registry.Connection {
	return &connection{userAgent: strings.Repeat("x", 8<<10)}
}

func (c *connection) Describe(into *dataplanev1alpha1.Connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	into.UserAgent, into.SourceIp = c.userAgent, c.sourceIP
	into.Phase = dataplanev1alpha1.Phase_PHASE_OPEN
	if c.closing != nil {
		into.Phase = dataplanev1alpha1.Phase_PHASE_CLOSING
	}
}

func (c *connection) Disconnect(how registry.Disconnect) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil {
		return registry.ErrClosing
	}
	c.closing = &how
	return nil
}

// Send waits for the end of ctx where it is answered with ErrNotTaken.
func (c *connection) Send(ctx context.Context, message registry.Send) error {
	if errors.Is(c.answers, registry.ErrNotTaken) {
		<-ctx.Done()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, message)
	return c.answers
}

func TestGet(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	e := p.registry.Add(newConnection)
	got, err := client.Get(t.Context(), &dataplanev1alpha1.GetRequest{Name: e.ID().Name()})
	if err != nil || got.GetConnection().GetName() != e.ID().Name() || got.GetConnection().GetUid() != e.ID().UID() || got.GetPodId() != string(p.registry.PodID()) {
		t.Errorf("got %v, %v", got, err)
	}
	p.registry.Remove(e)
	_, err = client.Get(t.Context(), &dataplanev1alpha1.GetRequest{Name: e.ID().Name()})
	wantCode(t, err, codes.NotFound, "one that is gone")
}

func TestDisconnectPassesOnWhatIsAsked(t *testing.T) {
	for _, test := range []struct {
		request *dataplanev1alpha1.DisconnectRequest
		want    registry.Disconnect
	}{
		{&dataplanev1alpha1.DisconnectRequest{}, registry.Disconnect{Code: 1000, Grace: 5 * time.Second}},
		{
			&dataplanev1alpha1.DisconnectRequest{Code: 4999, Reason: "go away", GracePeriodMilliseconds: 250, User: "alice"},
			registry.Disconnect{Code: 4999, Reason: "go away", Grace: 250 * time.Millisecond, User: "alice"},
		},
		{
			&dataplanev1alpha1.DisconnectRequest{Code: 1013, Reason: strings.Repeat("é", 61) + "x"},
			registry.Disconnect{Code: 1013, Reason: strings.Repeat("é", 61) + "x", Grace: 5 * time.Second},
		},
	} {
		p := start(t, nil)
		_, client := plainly(t, p)
		e := p.registry.Add(newConnection)
		test.request.Name, test.request.Uid = e.ID().Name(), e.ID().UID()
		got, err := client.Disconnect(t.Context(), test.request)
		if err != nil || got.GetConnection().GetPhase() != dataplanev1alpha1.Phase_PHASE_CLOSING || got.GetConnection().GetName() != e.ID().Name() {
			t.Fatalf("answered %v, %v", got, err)
		}
		if how := e.Connection().(*connection).closing; *how != test.want {
			t.Errorf("passed on %+v, want %+v", *how, test.want)
		}
		_, err = client.Disconnect(t.Context(), test.request)
		wantCode(t, err, codes.FailedPrecondition, "one that is closing")
	}
}

func TestDisconnectRefusesWithTheFieldAtFault(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	e := p.registry.Add(newConnection)
	refused := func(change func(*dataplanev1alpha1.DisconnectRequest), code codes.Code, says string) {
		t.Helper()
		request := &dataplanev1alpha1.DisconnectRequest{Name: e.ID().Name()}
		change(request)
		_, err := client.Disconnect(t.Context(), request)
		wantCode(t, err, code, says)
		if err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("error %q, want it to say %q", err, says)
		}
	}
	for _, illegal := range []int32{-1, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536 + 1000} {
		refused(func(r *dataplanev1alpha1.DisconnectRequest) { r.Code = illegal }, codes.InvalidArgument, "must be 1000-1003, 1007-1014 or 3000-4999")
	}
	refused(func(r *dataplanev1alpha1.DisconnectRequest) { r.Reason = strings.Repeat("x", 124) }, codes.InvalidArgument, "has 124 bytes, must have at most 123")
	refused(func(r *dataplanev1alpha1.DisconnectRequest) { r.GracePeriodMilliseconds = -1 }, codes.InvalidArgument, "gracePeriodMilliseconds: -1")
	refused(func(r *dataplanev1alpha1.DisconnectRequest) { r.Uid = "another" }, codes.Aborted, `uid: "another"`)
	refused(func(r *dataplanev1alpha1.DisconnectRequest) {
		r.NotAfter = timestamppb.New(time.Now().Add(-time.Second))
	}, codes.DeadlineExceeded, "after its time")
	refused(func(r *dataplanev1alpha1.DisconnectRequest) { r.Name = "another" }, codes.NotFound, `"another"`)
	if how := e.Connection().(*connection).closing; how != nil {
		t.Errorf("a refused request disconnected: %+v", how)
	}
}

// listing is what List streamed.
type listing struct {
	names     []string
	chunks    int
	largest   int
	remaining int64
}

func list(t *testing.T, client dataplanev1alpha1.ConnectionsClient, r *dataplanev1alpha1.ListRequest) listing {
	t.Helper()
	stream, err := client.List(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var l listing
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return l
		}
		if err != nil {
			t.Fatal(err)
		}
		if chunk.GetPodId() == "" {
			t.Error("a chunk does not say which pod it is from")
		}
		for _, c := range chunk.GetConnections() {
			l.names = append(l.names, c.GetName())
		}
		l.chunks, l.remaining = l.chunks+1, chunk.GetRemaining()
		l.largest = max(l.largest, len(chunk.GetConnections()))
	}
}

func TestListStreamsInOrderAndSaysWhatItLeftOut(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	if l := list(t, client, &dataplanev1alpha1.ListRequest{}); l.chunks != 1 || len(l.names) != 0 || l.remaining != 0 {
		t.Errorf("of nothing: %+v", l)
	}
	var all []string
	for range 1200 {
		all = append(all, p.registry.Add(newConnection).ID().Name())
	}
	for _, test := range []struct {
		after       string
		limit       int32
		first, last int
		chunks      int
	}{
		{"", 0, 0, 1200, 3},
		{"", 1200, 0, 1200, 3},
		{"", 5000, 0, 1200, 3},
		{"", 500, 0, 500, 1},
		{"", 501, 0, 501, 2},
		{all[99], 1, 100, 101, 1},
		{all[1000], 0, 1001, 1200, 1},
		{all[1199], 0, 1200, 1200, 1},
		{"zzz", 10, 1200, 1200, 1},
	} {
		l := list(t, client, &dataplanev1alpha1.ListRequest{After: test.after, Limit: test.limit})
		if !slices.Equal(l.names, all[test.first:test.last]) || l.remaining != int64(1200-test.last) || l.chunks != test.chunks {
			t.Errorf("after %q with limit %d: %d names, %d remaining, %d chunks", test.after, test.limit, len(l.names), l.remaining, l.chunks)
		}
	}
	stream, err := client.List(t.Context(), &dataplanev1alpha1.ListRequest{Limit: -1})
	if err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, err, codes.InvalidArgument, "a negative limit")
}

// Who wants few of many is sent those, and told after a while that it goes on.
func TestListOfOneClient(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	const all, found = 10_500, 4000
	var want []string
	for n := range all {
		ip := "192.0.2.8"
		switch n {
		case 0, found:
			ip = "192.0.2.7"
		case all - 1:
			ip = "::ffff:192.0.2.7"
		}
		name := p.registry.Add(func(registry.ID) registry.Connection { return &connection{sourceIP: ip} }).ID().Name()
		if ip != "192.0.2.8" {
			want = append(want, name)
		}
	}
	for _, test := range []struct {
		after       string
		limit       int32
		first, last int
		remaining   int64
		chunks      int
	}{
		{"", 0, 0, 3, 0, 6},
		{want[0], 0, 1, 3, 0, 6},
		{want[1], 0, 2, 3, 0, 4},
		{want[2], 0, 3, 3, 0, 1},
		{"", 1, 0, 1, all - 1, 1},
		{want[1], 1, 2, 3, 0, 4},
	} {
		l := list(t, client, &dataplanev1alpha1.ListRequest{After: test.after, Limit: test.limit, SourceIp: "192.0.2.7"})
		if !slices.Equal(l.names, want[test.first:test.last]) || l.remaining != test.remaining || l.chunks != test.chunks {
			t.Errorf("after %q with limit %d: %v, %d remaining, %d chunks", test.after, test.limit, l.names, l.remaining, l.chunks)
		}
	}
	stream, err := client.List(t.Context(), &dataplanev1alpha1.ListRequest{SourceIp: "nobody"})
	if err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, err, codes.InvalidArgument, "an address that is none")
}

// 500 clients that each sent the longest header must not make a chunk that the
// caller's gRPC refuses (4 MiB).
func TestLargeDescriptionsMakeSmallChunks(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	for range 1000 {
		p.registry.Add(newVerbose)
	}
	l := list(t, client, &dataplanev1alpha1.ListRequest{Limit: 900})
	if len(l.names) != 900 || !slices.IsSorted(l.names) || l.remaining != 100 || l.largest > 200 {
		t.Errorf("%d names, %d remaining, chunks of up to %d", len(l.names), l.remaining, l.largest)
	}
	if l := list(t, client, &dataplanev1alpha1.ListRequest{}); len(l.names) != 1000 || l.remaining != 0 {
		t.Errorf("without a limit: %d names, %d remaining", len(l.names), l.remaining)
	}
}
