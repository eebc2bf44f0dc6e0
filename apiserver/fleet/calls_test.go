// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPodIsAskedFewQuestionsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCalls(time.Second, maxCalls)
		entered, failed := make(chan func(outcome), 100), make(chan error, 100)
		for range 100 {
			go func() {
				if leave, err := c.enter(t.Context()); err == nil {
					entered <- leave
				} else {
					failed <- err
				}
			}()
		}
		underWay := func(calls, refused int) {
			t.Helper()
			synctest.Wait()
			if len(entered) != calls || len(failed) != refused {
				t.Fatalf("%d are under way and %d refused, want %d and %d", len(entered), len(failed), calls, refused)
			}
		}
		// They wait as long as it goes on.
		for range 10 {
			underWay(maxCalls, 0)
			time.Sleep(900 * time.Millisecond)
			(<-entered)(answered)
		}
		underWay(maxCalls, 0)
		time.Sleep(time.Second)
		underWay(maxCalls, 100-maxCalls-10)
		if _, err := c.enter(t.Context()); !errors.Is(err, errBusy) {
			t.Errorf("one more is told %v", err)
		}
		for len(failed) > 0 {
			if err := <-failed; !errors.Is(err, errBusy) {
				t.Errorf("refused with %v", err)
			}
		}
		for len(entered) > 0 {
			(<-entered)(answered)
		}
		if len(c.slots) > 0 {
			t.Errorf("%d slots are taken in the end", len(c.slots))
		}
	})
}

func TestWhoWaitsForASilentPodIsRefusedWithTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCalls(time.Second, maxCalls)
		var leave []func(outcome)
		for range maxCalls {
			l, err := c.enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, l)
		}
		failed := make(chan error, 50)
		for range 50 {
			go func() {
				_, err := c.enter(t.Context())
				failed <- err
			}()
		}
		synctest.Wait()
		leave[0](timedOut)
		synctest.Wait()
		if len(failed) != 50 {
			t.Fatalf("%d are refused", len(failed))
		}
		for range 50 {
			if err := <-failed; !errors.Is(err, errSilent) {
				t.Errorf("refused with %v", err)
			}
		}
	})
}

func TestASilentPodIsTriedByOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCalls(time.Second, maxCalls)
		enter := func(want error) func(outcome) {
			t.Helper()
			leave, err := c.enter(t.Context())
			if !errors.Is(err, want) {
				t.Errorf("it is told %v, want %v", err, want)
			}
			return leave
		}
		enter(nil)(timedOut)
		enter(errSilent)
		time.Sleep(silence)
		probe := enter(nil)
		enter(errSilent)
		probe(unclear)
		probe = enter(nil)
		enter(errSilent)
		probe(timedOut)
		enter(errSilent)
		time.Sleep(silence)
		probe = enter(nil)
		c.learn(answered)
		enter(nil)(unclear)
		probe(answered)
		enter(nil)(answered)
	})
}
