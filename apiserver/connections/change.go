// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

// ending is how a connection is to be ended.
type ending struct {
	// uid and version, where they are not empty, must be the connection's.
	uid     types.UID
	version string
	// dryRun: everything is checked and nothing is done.
	dryRun bool
	code   int32
	reason string
	// graceSeconds nil: the built-in.
	graceSeconds *int64
}

// end starts the closing of one connection and returns it as it is then. Errors
// are those of the fleet, or a conflict.
func (s *Storage) end(ctx context.Context, namespace, name string, how ending) (fleet.Entry, error) {
	// The pod checks the uid together with the closing. The version is checked
	// before: a phase that changes in between is closed all the same.
	if how.dryRun || how.version != "" {
		entry, err := s.fleet.Get(ctx, s.of, namespace, name)
		if err != nil {
			return fleet.Entry{}, err
		}
		if err := how.check(entry); err != nil {
			return entry, err
		}
		if how.dryRun {
			return entry, mayEnd(entry)
		}
	}
	return s.fleet.Disconnect(ctx, namespace, &dataplanev1alpha1.DisconnectRequest{
		Name:                    name,
		Uid:                     string(how.uid),
		Code:                    how.code,
		Reason:                  how.reason,
		GracePeriodMilliseconds: milliseconds(how.graceSeconds),
		User:                    userOf(ctx),
	})
}

// check compares with the preconditions.
func (how ending) check(e fleet.Entry) error {
	conflict := func(what, want, is string) error {
		return apierrors.NewConflict(resource, e.Connection.GetName(), fmt.Errorf("precondition failed: %s is %q, not %q", what, is, want))
	}
	if uid := types.UID(e.Connection.GetUid()); how.uid != "" && how.uid != uid {
		return conflict("uid", string(how.uid), string(uid))
	}
	if version := versionOf(e.Connection); how.version != "" && how.version != version {
		return conflict("resourceVersion", how.version, version)
	}
	return nil
}

// mayEnd says what the pod would: that a connection is closing already.
func mayEnd(e fleet.Entry) error {
	if e.Connection.GetPhase() == dataplanev1alpha1.Phase_PHASE_CLOSING {
		return &fleet.Refused{Code: codes.FailedPrecondition}
	}
	return nil
}

func userOf(ctx context.Context) string {
	if user, ok := request.UserFrom(ctx); ok {
		return user.GetName()
	}
	return ""
}

// milliseconds returns 0 for the built-in grace period, and at least 1 for one
// that was asked for.
func milliseconds(seconds *int64) int32 {
	if seconds == nil {
		return 0
	}
	return int32(max(*seconds*1000, 1))
}

func checkGrace(seconds *int64) field.ErrorList {
	if seconds == nil || 0 <= *seconds && *seconds <= connectionsv1alpha1.MaxGracePeriodSeconds {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("gracePeriodSeconds"), *seconds,
		fmt.Sprintf("must be between 0 and %d", connectionsv1alpha1.MaxGracePeriodSeconds))}
}

// endingOf returns how a delete ends a connection. The error is that the options
// are invalid.
func endingOf(name string, options *metav1.DeleteOptions) (ending, error) {
	how := ending{code: connectionsv1alpha1.DefaultCloseCode, reason: connectionsv1alpha1.DefaultReason}
	if options == nil {
		return how, nil
	}
	if problems := checkGrace(options.GracePeriodSeconds); len(problems) > 0 {
		return how, apierrors.NewInvalid(kindConnection, name, problems)
	}
	how.dryRun, how.graceSeconds = len(options.DryRun) > 0, options.GracePeriodSeconds
	if p := options.Preconditions; p != nil {
		if p.UID != nil {
			how.uid = *p.UID
		}
		if p.ResourceVersion != nil {
			how.version = *p.ResourceVersion
		}
	}
	return how, nil
}
