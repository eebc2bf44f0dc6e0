// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// maxPatience bounds how long a message may wait, and so for how long it is kept.
const maxPatience = 10 * time.Second

// Send implements the service. Nothing of the payload may be in an error or in the
// log.
func (c *connections) Send(ctx context.Context, r *dataplanev1alpha1.SendRequest) (*dataplanev1alpha1.SendResponse, error) {
	message, err := messageOf(r)
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
		return nil, err
	}
	patience := min(time.Duration(r.GetPatienceMilliseconds())*time.Millisecond, maxPatience)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	outcome, err := outcomeOf(entry.Send(ctx, message))
	if err != nil {
		return nil, err
	}
	return &dataplanev1alpha1.SendResponse{Outcome: outcome}, nil
}

// messageOf checks a request. The error is a gRPC status that names the field.
func messageOf(r *dataplanev1alpha1.SendRequest) (registry.Send, error) {
	message := registry.Send{Payload: r.GetData(), DryRun: r.GetDryRun()}
	switch r.GetType() {
	case dataplanev1alpha1.SendRequest_TYPE_TEXT:
		if !utf8.Valid(message.Payload) {
			return message, status.Error(codes.InvalidArgument, "data: must be UTF-8 in a text")
		}
	case dataplanev1alpha1.SendRequest_TYPE_BINARY:
		message.Binary = true
	default:
		return message, status.Errorf(codes.InvalidArgument, "type: %d: must be text or binary", r.GetType())
	}
	if ms := r.GetPatienceMilliseconds(); ms < 0 {
		return message, status.Errorf(codes.InvalidArgument, "patienceMilliseconds: %d: must not be negative", ms)
	}
	return message, nil
}

// outcomeOf says in the words of the protocol what a connection answers.
func outcomeOf(err error) (dataplanev1alpha1.SendResponse_Outcome, error) {
	switch {
	case err == nil:
		return dataplanev1alpha1.SendResponse_OUTCOME_SENT, nil
	case errors.Is(err, registry.ErrInDoubt):
		return dataplanev1alpha1.SendResponse_OUTCOME_IN_DOUBT, nil
	case errors.Is(err, registry.ErrNotTaken):
		return dataplanev1alpha1.SendResponse_OUTCOME_NOT_TAKEN, nil
	case errors.Is(err, registry.ErrTooMany):
		return dataplanev1alpha1.SendResponse_OUTCOME_TOO_MANY, nil
	case errors.Is(err, registry.ErrConnecting):
		return dataplanev1alpha1.SendResponse_OUTCOME_CONNECTING, nil
	case errors.Is(err, registry.ErrTooBig):
		return dataplanev1alpha1.SendResponse_OUTCOME_TOO_BIG, nil
	case errors.Is(err, registry.ErrExtension):
		return dataplanev1alpha1.SendResponse_OUTCOME_EXTENSION, nil
	case errors.Is(err, registry.ErrClosing):
		return 0, status.Error(codes.FailedPrecondition, err.Error())
	default:
		return 0, status.Error(codes.Internal, err.Error())
	}
}
