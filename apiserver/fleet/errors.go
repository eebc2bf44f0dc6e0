// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrUnknown says that no pod can have the connection: it has ended, or has never
// been.
var ErrUnknown = errors.New("there is no such connection")

// Why a pod is not asked any more.
var (
	// errRemoved: the pod is gone, and all its connections with it.
	errRemoved = errors.New("the pod is gone")
	// errReplaced: there is another way to ask it, or somebody else to be asked for.
	errReplaced = errors.New("the pod has changed")
	// errStopped: the fleet does not run any more.
	errStopped = errors.New("this server is about to end")
)

// Refused is the answer of a pod that it will not do what it was asked. Its code
// is one of those that the protocol names.
type Refused struct{ Code codes.Code }

// Error implements error, in our words: what the pod says goes to the log.
func (r *Refused) Error() string {
	switch r.Code {
	case codes.FailedPrecondition:
		return "the connection is closing already"
	case codes.Aborted:
		return "precondition failed: the uid is another one"
	default:
		return "the data-plane pod does not take this request"
	}
}

// Unanswered says that a pod gave no usable answer in time, so that nothing is
// known about its connections.
type Unanswered struct {
	Pod *Pod
	// Why goes on after "pod namespace/name". It is for whoever asked: there is no
	// address in it, and nothing that the pod said.
	Why string
	// MayHappen says that the pod may do what it was asked, or has done it.
	MayHappen bool
}

// Error implements error.
func (u *Unanswered) Error() string { return fmt.Sprintf("pod %s %s", u.Pod, u.Why) }

// unanswered is the error of a call that the pod did not answer, and logs the
// cause, which callers are not told.
func (p *Pod) unanswered(why string, cause error) *Unanswered {
	p.problem(why, cause)
	return &Unanswered{Pod: p, Why: why}
}

// explain makes of the error of a call what callers can decide by:
// errRemoved, errReplaced, ErrUnknown, *Refused or *Unanswered.
func (p *Pod) explain(err error) error {
	select {
	case <-p.gone:
		if errors.Is(p.reason, errStopped) {
			return &Unanswered{Pod: p, Why: "is not asked any more: " + errStopped.Error()}
		}
		return p.reason
	default:
	}
	s := status.Convert(err)
	switch {
	case errors.Is(err, errSilent), errors.Is(err, errBusy):
		return &Unanswered{Pod: p, Why: err.Error()}
	case errors.Is(err, context.Canceled), s.Code() == codes.Canceled:
		return &Unanswered{Pod: p, Why: "was not waited for"}
	case errors.Is(err, context.DeadlineExceeded), s.Code() == codes.DeadlineExceeded:
		return p.unanswered(fmt.Sprintf("gave no answer within %v", p.timeout), err)
	case s.Code() == codes.Unavailable:
		return p.unanswered("cannot be reached", err)
	case s.Code() == codes.Unimplemented:
		return p.unanswered("is of an older release, which cannot be asked for this", err)
	case s.Code() == codes.NotFound:
		return ErrUnknown
	case s.Code() == codes.FailedPrecondition, s.Code() == codes.Aborted, s.Code() == codes.InvalidArgument:
		return &Refused{Code: s.Code()}
	default:
		return p.unanswered("gave no usable answer", err)
	}
}
