// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

const (
	// chunkSize connections are described and sent at a time.
	chunkSize = 500
	// chunkBytes end a chunk early, well below the 4 MiB that gRPC clients take:
	// headers and paths come from clients and may be long.
	chunkBytes = 1 << 20
	// maxPages of chunkSize are looked at for a chunk, so that who wants few of many is
	// told soon that it goes on: 2,000 connections take some 2 ms.
	maxPages = 4
)

// List implements the service.
func (c *connections) List(r *dataplanev1alpha1.ListRequest, stream grpc.ServerStreamingServer[dataplanev1alpha1.ListResponse]) error {
	return c.list(r, stream, c.registry.After)
}

// ListClosed implements the service.
func (c *connections) ListClosed(r *dataplanev1alpha1.ListRequest, stream grpc.ServerStreamingServer[dataplanev1alpha1.ListResponse]) error {
	return c.list(r, stream, c.registry.ClosedAfter)
}

// pages returns at most limit entries with names greater than the given one, and how
// many there are beyond those.
type pages func(name string, limit int) (page []*registry.Entry, remaining int)

// list sends what the pages have. There is always a chunk, if only to say which pod
// has no connections.
func (c *connections) list(r *dataplanev1alpha1.ListRequest, stream grpc.ServerStreamingServer[dataplanev1alpha1.ListResponse], from pages) error {
	if r.GetLimit() < 0 {
		return status.Errorf(codes.InvalidArgument, "limit: %d: must not be negative", r.GetLimit())
	}
	if r.GetClock() < 0 {
		return status.Errorf(codes.InvalidArgument, "clock: %d: must not be negative", r.GetClock())
	}
	wanted, err := wantedBy(r)
	if err != nil {
		return err
	}
	began, err := c.begin(clock.Stamp(r.GetClock()))
	if err != nil {
		return err
	}
	after, left := r.GetAfter(), int(r.GetLimit())
	for {
		size := chunkSize
		if r.GetLimit() > 0 {
			size = min(size, left)
		}
		chunk, reached := c.chunk(from, after, size, wanted)
		chunk.Clock = int64(began)
		if err := stream.Send(chunk); err != nil {
			return err
		}
		left -= len(chunk.GetConnections())
		if chunk.GetRemaining() == 0 || r.GetLimit() > 0 && left == 0 {
			return nil
		}
		after = reached
	}
}

// begin moves the clock past the caller's, if that was sent, and reads it.
func (c *connections) begin(sent clock.Stamp) (clock.Stamp, error) {
	if sent == 0 {
		return c.registry.Clock().Now(), nil
	}
	began, err := c.registry.Clock().MovePast(sent)
	if err != nil {
		return 0, status.Error(codes.FailedPrecondition, "clock: "+err.Error())
	}
	return began, nil
}

// wantedBy returns what decides about a connection. The error is a gRPC status.
func wantedBy(r *dataplanev1alpha1.ListRequest) (func(*dataplanev1alpha1.Connection) bool, error) {
	if r.GetSourceIp() == "" {
		return func(*dataplanev1alpha1.Connection) bool { return true }, nil
	}
	want, err := netip.ParseAddr(r.GetSourceIp())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "source_ip: %q: must be an IP address", r.GetSourceIp())
	}
	return func(c *dataplanev1alpha1.Connection) bool {
		is, err := netip.ParseAddr(c.GetSourceIp())
		return err == nil && is.Unmap() == want.Unmap()
	}, nil
}

// chunk describes at most size connections after a name, fewer when they are large or
// few are wanted. reached is the last name that it looked at.
func (c *connections) chunk(from pages, after string, size int, wanted func(*dataplanev1alpha1.Connection) bool) (chunk *dataplanev1alpha1.ListResponse, reached string) {
	chunk, reached = &dataplanev1alpha1.ListResponse{PodId: string(c.registry.PodID())}, after
	bytes := 0
	for range maxPages {
		// Not of that size: who wants one of many must not have them looked at one by one.
		page, remaining := from(reached, chunkSize)
		for i, entry := range page {
			if bytes >= chunkBytes || len(chunk.GetConnections()) == size {
				chunk.Remaining = int64(remaining + len(page) - i)
				return chunk, reached
			}
			described := entry.Describe()
			reached = described.GetName()
			if wanted(described) {
				bytes += proto.Size(described)
				chunk.Connections = append(chunk.Connections, described)
			}
		}
		chunk.Remaining = int64(remaining)
		if remaining == 0 || len(chunk.GetConnections()) == size {
			break
		}
	}
	return chunk, reached
}
