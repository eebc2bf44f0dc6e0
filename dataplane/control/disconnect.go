// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

const defaultGrace = 5 * time.Second

// disconnectOf checks a request. The error is a gRPC status that names the
// field, its value and what is right.
func disconnectOf(r *dataplanev1alpha1.DisconnectRequest) (registry.Disconnect, error) {
	how := registry.Disconnect{Code: wire.CloseNormal, Reason: r.GetReason(), Grace: defaultGrace, User: r.GetUser()}
	if code := r.GetCode(); code != 0 {
		if !wire.ValidCloseCode(int(code)) {
			return how, status.Errorf(codes.InvalidArgument, "code: %d: must be 1000-1003, 1007-1014 or 3000-4999", code)
		}
		how.Code = uint16(code)
	}
	if len(how.Reason) > wire.MaxReason {
		return how, status.Errorf(codes.InvalidArgument, "reason: %q: has %d bytes, must have at most %d", how.Reason, len(how.Reason), wire.MaxReason)
	}
	if !utf8.ValidString(how.Reason) {
		return how, status.Errorf(codes.InvalidArgument, "reason: %q: must be UTF-8", how.Reason)
	}
	if ms := r.GetGracePeriodMilliseconds(); ms < 0 {
		return how, status.Errorf(codes.InvalidArgument, "gracePeriodMilliseconds: %d: must not be negative", ms)
	} else if ms > 0 {
		how.Grace = time.Duration(ms) * time.Millisecond
	}
	return how, nil
}
