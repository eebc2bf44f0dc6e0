// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

// behavior is what a client may ask of the server in the query of its
// handshake, to see how that looks through a proxy.
type behavior struct {
	// delay comes before each answer: ?delay=200ms.
	delay time.Duration
	// status refuses the handshake: ?status=403.
	status int
	// code ends the connection after so many answers: ?close=4000&after=3.
	code, after int
}

func behaviorOf(query url.Values) (behavior, error) {
	var b behavior
	var err error
	if v := query.Get("delay"); v != "" {
		if b.delay, err = time.ParseDuration(v); err != nil || b.delay < 0 {
			return b, fmt.Errorf("delay is a duration such as 200ms, not %q", v)
		}
	}
	for _, number := range []struct {
		name      string
		low, high int
		into      *int
	}{
		{"status", 400, 599, &b.status},
		{"close", websocket.CloseNormalClosure, 4999, &b.code},
		{"after", 1, 1 << 30, &b.after},
	} {
		v := query.Get(number.name)
		if v == "" {
			continue
		}
		if *number.into, err = strconv.Atoi(v); err != nil || *number.into < number.low || *number.into > number.high {
			return b, fmt.Errorf("%s is a number from %d to %d, not %q", number.name, number.low, number.high, v)
		}
	}
	if (b.code != 0) != (b.after != 0) {
		return b, fmt.Errorf("close and after belong together")
	}
	return b, nil
}

// closes says whether the connection is to end after so many answers.
func (b behavior) closes(answers int) bool { return b.code != 0 && answers >= b.after }
