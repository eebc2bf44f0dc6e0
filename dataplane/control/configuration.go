// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"

	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// configuration is the service that puts configuration in force.
type configuration struct {
	dataplanev1alpha1.UnimplementedConfigurationServer

	store    *config.Store
	registry *registry.Registry
	drain    func()
	draining func() bool
	logger   logr.Logger
}

var _ dataplanev1alpha1.ConfigurationServer = (*configuration)(nil)

// Apply implements the service.
func (c *configuration) Apply(_ context.Context, r *dataplanev1alpha1.ApplyRequest) (*dataplanev1alpha1.ApplyResponse, error) {
	if r.GetSnapshot() == nil {
		return nil, status.Error(codes.InvalidArgument, "snapshot: required")
	}
	version, err := c.store.Apply(r.GetSnapshot())
	if err != nil {
		c.logger.Error(err, "Configuration refused", "version", r.GetSnapshot().GetVersion(), "inForce", version)
		return nil, status.Error(codeOf(err), err.Error())
	}
	// Another push may have come in between: what is answered belongs together.
	inForce := c.store.Current().Snapshot
	return &dataplanev1alpha1.ApplyResponse{
		Version:     inForce.GetVersion(),
		Digest:      inForce.GetDigest(),
		PodId:       string(c.registry.PodID()),
		Connections: int64(c.registry.Len()),
	}, nil
}

func codeOf(err error) codes.Code {
	switch {
	case errors.Is(err, config.ErrInvalid):
		return codes.InvalidArgument
	case errors.Is(err, config.ErrStale), errors.Is(err, config.ErrOtherContent), errors.Is(err, config.ErrOtherProxy):
		return codes.FailedPrecondition
	default:
		return codes.Internal
	}
}

// Status implements the service.
func (c *configuration) Status(context.Context, *dataplanev1alpha1.StatusRequest) (*dataplanev1alpha1.StatusResponse, error) {
	inForce := c.store.Current().Snapshot
	return &dataplanev1alpha1.StatusResponse{
		Version:     inForce.GetVersion(),
		Digest:      inForce.GetDigest(),
		PodId:       string(c.registry.PodID()),
		Connections: int64(c.registry.Len()),
		Draining:    c.draining(),
	}, nil
}

// Drain implements the service.
func (c *configuration) Drain(context.Context, *dataplanev1alpha1.DrainRequest) (*dataplanev1alpha1.DrainResponse, error) {
	live := int64(c.registry.Len())
	c.drain()
	return &dataplanev1alpha1.DrainResponse{Connections: live}, nil
}
