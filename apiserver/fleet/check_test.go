// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

func TestWhatAPodSaysIsChecked(t *testing.T) {
	now := time.Unix(1767323045, 0)
	good := &dataplanev1alpha1.Connection{
		Name: "k5dfau6e5kgemg63i-00000011", Uid: "0a1b2c3d-0000-4000-8000-00000000000f",
		SourceIp: "192.0.2.1", UserAgent: strings.Repeat("ä", maxText/2), Path: "/", Upstream: "10.0.0.7:8080",
		ConnectedAt: timestamppb.New(time.Unix(0, 0)), LastActiveAt: timestamppb.New(now.Add(maxSkew)),
		Phase: dataplanev1alpha1.Phase_PHASE_CLOSING, ClosingSince: timestamppb.New(now),
		FromClient: &dataplanev1alpha1.Traffic{Messages: math.MaxInt64, Bytes: math.MaxInt64},
		Reconnects: math.MaxInt32,
	}
	if err := check(good, now); err != nil {
		t.Errorf("a good one: %v", err)
	}
	newer := proto.CloneOf(good)
	newer.Phase = dataplanev1alpha1.Phase_PHASE_CLOSING + 1
	if err := check(newer, now); err != nil {
		t.Errorf("one in a phase of a newer release: %v", err)
	}
	type connection = dataplanev1alpha1.Connection
	long := strings.Repeat("x", maxText+1)
	for what, change := range map[string]func(*connection){
		"no uid":                 func(c *connection) { c.Uid = "" },
		"a uid too long":         func(c *connection) { c.Uid += "0" },
		"a uid without hyphens":  func(c *connection) { c.Uid = strings.ReplaceAll(c.Uid, "-", "0") },
		"a uid of hyphens":       func(c *connection) { c.Uid = strings.Repeat("-", uuidLength) },
		"a uid with a line":      func(c *connection) { c.Uid = "\n" + c.Uid[1:] },
		"no phase":               func(c *connection) { c.Phase = 0 },
		"a negative phase":       func(c *connection) { c.Phase = -1 },
		"no time":                func(c *connection) { c.ConnectedAt = nil },
		"no time of activity":    func(c *connection) { c.LastActiveAt = nil },
		"the year 20000":         func(c *connection) { c.ConnectedAt = &timestamppb.Timestamp{Seconds: 568971820800} },
		"the year 9000":          func(c *connection) { c.LastActiveAt = timestamppb.New(time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)) },
		"the future":             func(c *connection) { c.ConnectedAt = timestamppb.New(now.Add(maxSkew + 1)) },
		"before 1970":            func(c *connection) { c.ConnectedAt = timestamppb.New(time.Unix(-1, 0)) },
		"nanoseconds":            func(c *connection) { c.ConnectedAt = &timestamppb.Timestamp{Nanos: -1} },
		"closing in the future":  func(c *connection) { c.ClosingSince = timestamppb.New(now.AddDate(1, 0, 0)) },
		"negative messages":      func(c *connection) { c.FromClient.Messages = -1 },
		"negative bytes":         func(c *connection) { c.FromClient.Bytes = math.MinInt64 },
		"negative upstream":      func(c *connection) { c.FromUpstream = &dataplanev1alpha1.Traffic{Bytes: -1} },
		"negative reconnects":    func(c *connection) { c.Reconnects = -1 },
		"negative losses":        func(c *connection) { c.PossiblyLost = -1 },
		"a long address":         func(c *connection) { c.SourceIp = long },
		"a long user agent":      func(c *connection) { c.UserAgent = long },
		"a long origin":          func(c *connection) { c.Origin = long },
		"a long path":            func(c *connection) { c.Path = long },
		"a long subprotocol":     func(c *connection) { c.Subprotocol = long },
		"a long upstream":        func(c *connection) { c.Upstream = long },
		"a long reason":          func(c *connection) { c.NotReconnectableReason = long },
		"a path that is no text": func(c *connection) { c.Path = "\xff" },
	} {
		bad := proto.Clone(good).(*connection)
		change(bad)
		if err := check(bad, now); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func TestHowAConnectionEndedIsChecked(t *testing.T) {
	now := time.Unix(1767323045, 0)
	type end = dataplanev1alpha1.End
	good := &dataplanev1alpha1.Connection{
		Name: "k5dfau6e5kgemg63i-00000011", Uid: "0a1b2c3d-0000-4000-8000-00000000000f", Phase: dataplanev1alpha1.Phase_PHASE_CLOSING,
		ConnectedAt: timestamppb.New(now), LastActiveAt: timestamppb.New(now),
		End: &end{By: "Somebody", Cause: "NewInALaterRelease", Code: 4999, Reason: strings.Repeat("x", maxText), At: timestamppb.New(now)},
	}
	if err := Closed.check(good, now); err != nil {
		t.Errorf("a good one: %v", err)
	}
	long := strings.Repeat("x", maxText+1)
	for what, change := range map[string]func(*end){
		"no code":              func(e *end) { e.Code = 0 },
		"a code of HTTP":       func(e *end) { e.Code = 999 },
		"a code too large":     func(e *end) { e.Code = 5000 },
		"no time":              func(e *end) { e.At = nil },
		"the future":           func(e *end) { e.At = timestamppb.New(now.Add(maxSkew + 1)) },
		"negative losses":      func(e *end) { e.Undelivered = -1 },
		"a long word for who":  func(e *end) { e.By = long },
		"a long word for why":  func(e *end) { e.Cause = long },
		"a long reason":        func(e *end) { e.Reason = long },
		"a long upstream":      func(e *end) { e.Upstream = long },
		"a reason of no text":  func(e *end) { e.Reason = "\xff" },
		"a cause of no text":   func(e *end) { e.Cause = "\xff" },
		"an upstream, no text": func(e *end) { e.Upstream = "\xff" },
	} {
		bad := proto.CloneOf(good)
		change(bad.End)
		if err := Closed.check(bad, now); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	bad := proto.CloneOf(good)
	bad.End = nil
	if err := Closed.check(bad, now); err == nil {
		t.Error("one that has not ended is taken")
	}
	if err := Live.check(bad, now); err != nil {
		t.Errorf("one that lives: %v", err)
	}
	bad.Uid = ""
	if err := Closed.check(bad, now); err == nil {
		t.Error("one without a uid is taken")
	}
}
