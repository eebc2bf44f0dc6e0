// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

const (
	// maxText is how many bytes of a text a pod may say, several times what the data
	// plane keeps of what clients send.
	maxText = 4 << 10
	// maxSkew is how far the clock of a pod may be ahead of ours.
	maxSkew    = 10 * time.Minute
	uuidLength = 36
)

// check returns what is wrong with a connection as a pod describes it. Whatever
// is not checked comes into the lists that others decode, and there a single year
// that has five digits makes all of it unreadable.
func check(c *dataplanev1alpha1.Connection, now time.Time) error {
	return errors.Join(
		checkUID(c.GetUid()),
		checkPhase(c.GetPhase()),
		checkTime("connected_at", c.GetConnectedAt(), now),
		checkTime("last_active_at", c.GetLastActiveAt(), now),
		optional(checkTime, "closing_since", c.GetClosingSince(), now),
		checkCounts(c),
		checkTexts(c),
	)
}

// check is that of one of those that were asked for.
func (of Of) check(c *dataplanev1alpha1.Connection, now time.Time) error {
	if of == Closed {
		return errors.Join(check(c, now), checkEnd(c.GetEnd(), now))
	}
	return check(c, now)
}

// checkEnd returns what is wrong with the end of a connection. The words for who and
// why are the pod's: it may know more of them.
func checkEnd(end *dataplanev1alpha1.End, now time.Time) error {
	if end == nil {
		return errors.New("it has not ended")
	}
	if end.GetCode() < 1000 || end.GetCode() > 4999 {
		return fmt.Errorf("it ended with code %d", end.GetCode())
	}
	if end.GetUndelivered() < 0 {
		return fmt.Errorf("a count is %d", end.GetUndelivered())
	}
	return checkTime("at", end.GetAt(), now)
}

func checkUID(uid string) error {
	if len(uid) != uuidLength {
		return fmt.Errorf("uid has %d bytes", len(uid))
	}
	for i := range len(uid) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		hex := '0' <= uid[i] && uid[i] <= '9' || 'a' <= uid[i] && uid[i] <= 'f'
		if hyphen && uid[i] != '-' || !hyphen && !hex {
			return fmt.Errorf("uid %q is no UUID", uid)
		}
	}
	return nil
}

// checkPhase takes phases that are not known here: a pod of a newer release may have
// more of them, and all its connections would be unseen for the sake of one.
func checkPhase(phase dataplanev1alpha1.Phase) error {
	if phase < dataplanev1alpha1.Phase_PHASE_CONNECTING {
		return fmt.Errorf("phase is %d", phase)
	}
	return nil
}

func checkTime(field string, t *timestamppb.Timestamp, now time.Time) error {
	if err := t.CheckValid(); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	if is := t.AsTime(); is.Unix() < 0 || is.After(now.Add(maxSkew)) {
		return fmt.Errorf("%s is %v", field, is)
	}
	return nil
}

func optional(check func(string, *timestamppb.Timestamp, time.Time) error, field string, t *timestamppb.Timestamp, now time.Time) error {
	if t == nil {
		return nil
	}
	return check(field, t, now)
}

func checkCounts(c *dataplanev1alpha1.Connection) error {
	for _, n := range []int64{
		c.GetFromClient().GetMessages(), c.GetFromClient().GetBytes(),
		c.GetFromUpstream().GetMessages(), c.GetFromUpstream().GetBytes(),
		int64(c.GetReconnects()), c.GetPossiblyLost(),
	} {
		if n < 0 {
			return fmt.Errorf("a count is %d", n)
		}
	}
	return nil
}

func checkTexts(c *dataplanev1alpha1.Connection) error {
	for _, text := range texts(c) {
		if len(text) > maxText {
			return fmt.Errorf("a text has %d bytes", len(text))
		}
		if !utf8.ValidString(text) {
			return errors.New("a text is not UTF-8")
		}
	}
	return nil
}

// texts are those of which a pod decides how long they are.
func texts(c *dataplanev1alpha1.Connection) [11]string {
	end := c.GetEnd()
	return [...]string{
		c.GetSourceIp(), c.GetUserAgent(), c.GetOrigin(), c.GetPath(), c.GetSubprotocol(), c.GetUpstream(), c.GetNotReconnectableReason(),
		end.GetBy(), end.GetCause(), end.GetReason(), end.GetUpstream(),
	}
}
