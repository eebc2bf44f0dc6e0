// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"errors"
	"math"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

// textOf is a version as a resourceVersion.
func textOf(version clock.Stamp) string { return strconv.FormatInt(int64(version), 10) }

// parseVersion is the inverse of textOf, for numbers of any length: one that is too
// large is of a future that never comes.
func parseVersion(text string) (clock.Stamp, error) {
	version, err := strconv.ParseUint(text, 10, 63)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt64, nil
	}
	return clock.Stamp(version), err
}

// versionOf is the resourceVersion of a connection: the stamp of its last change.
// Pods of a release without such stamps have none; then it is the microsecond of the
// handshake and the steps of its life since, which grows when phase or upstream
// change.
func versionOf(c *dataplanev1alpha1.Connection) string {
	if c.GetVersion() > 0 {
		return textOf(clock.Stamp(c.GetVersion()))
	}
	steps := int64(c.GetReconnects())*int64(dataplanev1alpha1.Phase_PHASE_CLOSING) + int64(c.GetPhase())
	return textOf(clock.Stamp(max(timeOf(c.GetConnectedAt()).UnixMicro(), 0) + steps))
}

// kindOf is the type of the event that a change is to those who want what matches;
// empty: it is none.
func kindOf(change *dataplanev1alpha1.Change, match matcher, e fleet.Entry) watch.EventType {
	was := change.GetKind() != dataplanev1alpha1.Change_KIND_ADDED && match(e, change.GetBefore())
	is := change.GetKind() != dataplanev1alpha1.Change_KIND_DELETED && match(e, e.Connection.GetPhase())
	switch {
	case was && is:
		return watch.Modified
	case is:
		return watch.Added
	case was:
		return watch.Deleted
	default:
		return ""
	}
}

// errUntimely is the answer to a page of a pod whose clock has gone wrong since a first
// page from whose version a watch may be resumed: its client might never learn of what
// this one lacks. It says to list again.
var errUntimely = apierrors.NewResourceExpired("the list cannot be continued, because the clock of a data-plane pod is wrong: list again")
