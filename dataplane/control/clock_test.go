// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// clocks returns what the chunks of a list say of the clock, and the highest
// version in it.
func clocks(t *testing.T, client dataplanev1alpha1.ConnectionsClient, sent int64) (said, version int64, err error) {
	t.Helper()
	stream, err := client.List(t.Context(), &dataplanev1alpha1.ListRequest{Clock: sent})
	if err != nil {
		return 0, 0, err
	}
	for chunks := 0; ; chunks++ {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return said, version, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if chunks > 0 && chunk.GetClock() != said {
			t.Errorf("one chunk says %d, another %d", said, chunk.GetClock())
		}
		said = chunk.GetClock()
		for _, c := range chunk.GetConnections() {
			version = max(version, c.GetVersion())
		}
	}
}

func TestAListSaysWhereTheClockWas(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	var last *registry.Entry
	for range 700 {
		last = p.registry.Add(newConnection)
	}
	said, version, err := clocks(t, client, 0)
	if err != nil || version != int64(last.Stamp()) || said < version {
		t.Errorf("it began at %d, the last change is %d, %v; want %d", said, version, err, last.Stamp())
	}
	sent := said + time.Second.Microseconds()
	said, _, err = clocks(t, client, sent)
	if err != nil || said <= sent {
		t.Errorf("sent %d, it began at %d, %v", sent, said, err)
	}
	if e := p.registry.Add(newConnection); int64(e.Stamp()) <= said {
		t.Errorf("a change after a list at %d is stamped %d", said, e.Stamp())
	}
}

func TestAClockThatIsFarAheadIsNotFollowed(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	before := int64(p.registry.Clock().Now())
	for _, sent := range []int64{before + time.Hour.Microseconds(), 1<<63 - 1} {
		_, _, err := clocks(t, client, sent)
		wantCode(t, err, codes.FailedPrecondition, "a clock far ahead")
	}
	_, _, err := clocks(t, client, -1)
	wantCode(t, err, codes.InvalidArgument, "a negative clock")
	if now := int64(p.registry.Clock().Now()); now-before > time.Hour.Microseconds()/2 {
		t.Errorf("the clock has moved by %d µs", now-before)
	}
}

func TestAConnectionHasTheVersionOfItsLastChange(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	e := p.registry.Add(newConnection)
	added := e.Stamp()
	p.registry.Report(e.ID(), dataplanev1alpha1.Phase_PHASE_OPEN, "10.0.0.7:8080")
	got, err := client.Get(t.Context(), &dataplanev1alpha1.GetRequest{Name: e.ID().Name()})
	if v := got.GetConnection().GetVersion(); err != nil || v != int64(e.Stamp()) || v <= int64(added) {
		t.Errorf("version %d, %v; it was added at %d and last changed at %d", v, err, added, e.Stamp())
	}
	ended, err := client.Disconnect(t.Context(), &dataplanev1alpha1.DisconnectRequest{Name: e.ID().Name()})
	if v := ended.GetConnection().GetVersion(); err != nil || v != int64(e.Stamp()) {
		t.Errorf("version %d, %v; it last changed at %d", v, err, e.Stamp())
	}
}
