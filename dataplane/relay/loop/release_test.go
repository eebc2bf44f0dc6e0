// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
)

// A descriptor that was closed behind our back would be somebody else's socket
// next.
func TestAReleaseThatFailsLeavesTheSocketAlone(t *testing.T) {
	c := open(t, startLoop(t), nil)
	eventually(t, "the sockets are known", func() bool { return c.state(core.Client).generation != 0 })
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	c.Lock()
	c.k.Detach(nil)
	fd := int(c.k.legs[core.Client].fd)
	none := limit
	none.Cur = 3 // No descriptor is left.
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, err := c.k.Release()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	c.Unlock()
	if err == nil {
		t.Fatal("it was released without a descriptor")
	}
	// What was forgotten is closed when it is collected.
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		t.Errorf("the socket that the loop still has is gone: %v", err)
	}
}
