// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// connections is the service that reads and ends live connections, and tells of those
// that have ended.
type connections struct {
	dataplanev1alpha1.UnimplementedConnectionsServer

	registry *registry.Registry
	logger   logr.Logger
	draining func() bool
	// stopping is closed when the server is asked to stop.
	stopping chan struct{}
	// watches counts those who watch.
	watches atomic.Int32
}

var _ dataplanev1alpha1.ConnectionsServer = (*connections)(nil)

// Get implements the service.
func (c *connections) Get(_ context.Context, r *dataplanev1alpha1.GetRequest) (*dataplanev1alpha1.GetResponse, error) {
	entry, err := c.find(r.GetName())
	if err != nil {
		return nil, err
	}
	return &dataplanev1alpha1.GetResponse{Connection: entry.Describe(), PodId: string(c.registry.PodID())}, nil
}

// GetClosed implements the service.
func (c *connections) GetClosed(_ context.Context, r *dataplanev1alpha1.GetRequest) (*dataplanev1alpha1.GetResponse, error) {
	entry := c.registry.GetClosed(r.GetName())
	if entry == nil {
		return nil, status.Errorf(codes.NotFound, "no connection %q has ended of late", r.GetName())
	}
	return &dataplanev1alpha1.GetResponse{Connection: entry.Describe(), PodId: string(c.registry.PodID())}, nil
}

// Disconnect implements the service.
func (c *connections) Disconnect(ctx context.Context, r *dataplanev1alpha1.DisconnectRequest) (*dataplanev1alpha1.DisconnectResponse, error) {
	how, err := disconnectOf(r)
	if err != nil {
		return nil, err
	}
	entry, err := c.find(r.GetName())
	if err != nil {
		return nil, err
	}
	if err := isOf(entry, r.GetUid()); err != nil {
		return nil, err
	}
	if err := late(ctx, r.GetNotAfter()); err != nil {
		c.logger.Info("Connection is not disconnected, because the request is too old", "connection", r.GetName(), "user", how.User, "notAfter", r.GetNotAfter().AsTime())
		return nil, err
	}
	switch err := entry.Disconnect(how); {
	case errors.Is(err, registry.ErrClosing):
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	case err != nil:
		return nil, status.Error(codes.Internal, err.Error())
	}
	c.logger.Info("Connection is being disconnected", "connection", r.GetName(), "code", how.Code, "reason", how.Reason, "user", how.User)
	return &dataplanev1alpha1.DisconnectResponse{Connection: entry.Describe()}, nil
}

// isOf refuses a connection that is not the one that was meant; empty means any.
func isOf(entry *registry.Entry, uid string) error {
	if is := entry.ID().UID(); uid != "" && uid != is {
		return status.Errorf(codes.Aborted, "uid: %q: the connection's is %q", uid, is)
	}
	return nil
}

// late refuses what the caller does not wait for any more.
func late(ctx context.Context, notAfter *timestamppb.Timestamp) error {
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	if notAfter != nil && time.Now().After(notAfter.AsTime()) {
		return status.Error(codes.DeadlineExceeded, "the request came after its time")
	}
	return nil
}

func (c *connections) find(name string) (*registry.Entry, error) {
	if entry := c.registry.Get(name); entry != nil {
		return entry, nil
	}
	return nil, status.Errorf(codes.NotFound, "there is no connection %q", name)
}
