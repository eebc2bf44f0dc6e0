// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lister counts lists, each of which takes a second.
type lister struct {
	mu    sync.Mutex
	began []time.Time
	err   error
}

func (l *lister) list(ctx context.Context, namespace string) (view, error) {
	l.mu.Lock()
	l.began = append(l.began, time.Now())
	l.mu.Unlock()
	select {
	case <-time.After(time.Second):
		return view{prefixes: map[string]bool{namespace: true}}, l.err
	case <-ctx.Done():
		return view{}, ctx.Err()
	}
}

func TestWhoeverWantsALookSharesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lister{}
		looks := looks{list: l.list, queues: map[string]*queue{}}
		var asking sync.WaitGroup
		ask := func(namespace string, want time.Duration) {
			asking.Go(func() {
				begin := time.Now()
				found, err := looks.look(t.Context(), namespace)
				if err != nil || !found.prefixes[namespace] {
					t.Errorf("found %v: %v", found, err)
				}
				if took := time.Since(begin); took != want {
					t.Errorf("a look took %v, want %v", took, want)
				}
			})
		}
		ask("shop", time.Second)
		synctest.Wait()
		// The first look has begun without these, so they share the second.
		for range 100 {
			ask("shop", 2*time.Second+maxPause)
		}
		ask("other", time.Second)
		asking.Wait()
		synctest.Wait()
		if n := len(l.began); n != 3 {
			t.Errorf("%d lists, want 3", n)
		}
		time.Sleep(2 * maxPause)
		synctest.Wait()
		if n := len(looks.queues); n != 0 {
			t.Errorf("%d namespaces are still served", n)
		}
	})
}

func TestALookGoesOnWithoutTheOneWhoAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lister{}
		looks := looks{list: l.list, queues: map[string]*queue{}}
		impatient, leave := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			_, err := looks.look(impatient, "shop")
			first <- err
		}()
		synctest.Wait()
		second := make(chan error, 1)
		go func() {
			_, err := looks.look(t.Context(), "shop")
			second <- err
		}()
		synctest.Wait()
		leave()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("who left is told %v", err)
		}
		if err := <-second; err != nil {
			t.Errorf("who stayed is told %v", err)
		}
		time.Sleep(2 * maxPause)
	})
}

func TestALookThatFailsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lister{err: errors.New("no")}
		looks := looks{list: l.list, queues: map[string]*queue{}}
		if _, err := looks.look(t.Context(), "shop"); !errors.Is(err, l.err) {
			t.Errorf("got %v", err)
		}
		time.Sleep(2 * maxPause)
	})
}
