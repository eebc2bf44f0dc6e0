// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"sync"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/config"
)

// ErrGone says that an attempt was given up because the Service has its endpoint no
// more, and has others. Where a pod was, nobody may be left to refuse anything: who
// waits for an answer waits for all of connectTimeout.
var ErrGone = errors.New("the upstream has this endpoint no more")

// LookEvery is how often who waits for an upstream makes sure that it is still there.
const LookEvery = time.Second

// Gone says whether the endpoint at an address is to be given up for others. Where
// there is no other it is not: it may be there and slow.
func Gone(cfg *config.Config, address string) bool {
	if cfg.UpstreamURL != nil {
		return false // Its host is dialed by name.
	}
	others := false
	for _, e := range cfg.Endpoints {
		if e.Address.String() == address {
			return false
		}
		others = others || !e.Terminating
	}
	return others
}

// lookOut calls abandon when the endpoint at an address is Gone, until stop is called.
func (d *Dialer) lookOut(address string, abandon func()) (stop func()) {
	if d.Current == nil {
		return func() {}
	}
	var (
		mu      sync.Mutex
		timer   *time.Timer
		stopped bool
	)
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(LookEvery, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case stopped:
		case Gone(d.Current(), address):
			abandon()
		default:
			timer.Reset(LookEvery)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}
