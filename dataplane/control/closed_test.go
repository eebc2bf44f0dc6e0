// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

func TestHowConnectionsEndedIsToldApartFromThoseThatLive(t *testing.T) {
	p := start(t, nil)
	_, client := plainly(t, p)
	live := p.registry.Add(newConnection).ID().Name()
	var gone []string
	for range 600 {
		e := p.registry.Add(newConnection)
		last := e.Describe()
		last.End = &dataplanev1alpha1.End{By: "Client", Cause: "ClientClose", Code: 4001}
		p.registry.RemoveAs(e.ID(), last)
		gone = append(gone, e.ID().Name())
	}
	got, err := client.GetClosed(t.Context(), &dataplanev1alpha1.GetRequest{Name: gone[7]})
	if c := got.GetConnection(); err != nil || c.GetName() != gone[7] || c.GetEnd().GetCode() != 4001 || got.GetPodId() != string(p.registry.PodID()) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, name := range []string{live, "chat"} {
		_, err := client.GetClosed(t.Context(), &dataplanev1alpha1.GetRequest{Name: name})
		wantCode(t, err, codes.NotFound, name)
	}
	_, err = client.Get(t.Context(), &dataplanev1alpha1.GetRequest{Name: gone[7]})
	wantCode(t, err, codes.NotFound, "one that has ended, among the live")

	stream, err := client.ListClosed(t.Context(), &dataplanev1alpha1.ListRequest{After: gone[9], Limit: 550, Clock: int64(p.registry.Clock().Now())})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var last *dataplanev1alpha1.ListResponse
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range chunk.GetConnections() {
			names = append(names, c.GetName())
			if c.GetEnd().GetCause() != "ClientClose" || c.GetVersion() > chunk.GetClock() {
				t.Errorf("at %d: %v", chunk.GetClock(), c)
			}
		}
		last = chunk
	}
	if !slices.Equal(names, gone[10:560]) || last.GetRemaining() != 40 || last.GetPodId() != string(p.registry.PodID()) {
		t.Errorf("listed %d, %d remain", len(names), last.GetRemaining())
	}
	if l := list(t, client, &dataplanev1alpha1.ListRequest{}); !slices.Equal(l.names, []string{live}) {
		t.Errorf("live are %v", l.names)
	}
}
