// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrUnknown says that no pod can have the connection: it has ended, or has never
// been.
var ErrUnknown = errors.New("there is no such connection")

// Refused is the answer of a pod that it will not do what it was asked. Its code
// is one of those that the protocol names.
type Refused struct {
	Code    codes.Code
	Message string
}

// Error implements error.
func (r *Refused) Error() string { return r.Message }

// Unanswered says that a pod gave no usable answer in time, so that nothing is
// known about its connections.
type Unanswered struct {
	Pod *Pod
	Err error
}

// Error implements error.
func (u *Unanswered) Error() string { return fmt.Sprintf("pod %s: %v", u.Pod, u.Err) }

// Unwrap returns why.
func (u *Unanswered) Unwrap() error { return u.Err }

// explain makes of the error of a call what callers can decide by: errGone,
// ErrUnknown, *Refused or *Unanswered.
func (p *Pod) explain(err error) error {
	select {
	case <-p.gone:
		return errGone
	default:
	}
	s, _ := status.FromError(err)
	switch s.Code() {
	case codes.NotFound:
		return ErrUnknown
	case codes.FailedPrecondition, codes.Aborted, codes.InvalidArgument:
		return &Refused{Code: s.Code(), Message: s.Message()}
	default:
		return &Unanswered{Pod: p, Err: errors.New(s.Message())}
	}
}
