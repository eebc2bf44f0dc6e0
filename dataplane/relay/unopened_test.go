// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// unopenedIn returns what is logged of handshakes that failed, with the second in
// which it was.
func unopenedIn(t *testing.T, of func(*unopened)) []string {
	t.Helper()
	var lines []string
	synctest.Test(t, func(*testing.T) {
		begin := time.Now()
		u := &unopened{}
		u.write = func(message string, fields []any) {
			lines = append(lines, fmt.Sprintf("%v s: %s %v", time.Since(begin).Seconds(), message, fields))
		}
		of(u)
	})
	return lines
}

func TestManyHandshakesThatFailAreAFewLines(t *testing.T) {
	lines := unopenedIn(t, func(u *unopened) {
		for i := range 1000 { // over 10 s
			u.add(handshake.ReasonPathNotServed, []any{"client", i})
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		u.add(handshake.ReasonOriginNotAllowed, []any{"client", 1})
		time.Sleep(time.Minute)
		synctest.Wait()
		u.add(handshake.ReasonPathNotServed, []any{"client", 1000})
		u.add(handshake.ReasonPathNotServed, []any{"client", 1001})
		u.close()
		u.add(handshake.ReasonPathNotServed, []any{"client", 1002})
	})
	want := []string{
		"0 s: connection not opened [client 0]",
		"10 s: more connections not opened, the last one of them [client 999 count 999 seconds 10]",
		"10 s: connection not opened [client 1]",
		"70 s: connection not opened [client 1000]",
		"70 s: more connections not opened, the last one of them [client 1001 count 1 seconds 10]",
		"70 s: connection not opened [client 1002]",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("logged\n%q, want\n%q", lines, want)
	}
}
