// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"io"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// A peer that goes on sending after it was told the end still gets the close
// frame: it is read from until it ends, so that no reset overtakes the frame.
func TestTheLastFrameReachesAPeerThatGoesOnSending(t *testing.T) {
	c := open(t, startLoop(t), nil)
	c.Lock()
	c.core.Disconnect(driver.Now(), core.End{By: core.ByAdmin, Cause: core.CauseDisconnected, Code: 1000, Reason: "bye"}, time.Minute)
	c.Changed()
	c.Unlock()
	answer := wire.AppendFrame(nil, wire.Close, wire.AppendClose(nil, 1000, "bye"), &[4]byte{1, 2, 3, 4})
	if _, err := c.client.Write(answer); err != nil {
		t.Fatal(err)
	}
	answer = wire.AppendFrame(nil, wire.Close, wire.AppendClose(nil, 1000, "bye"), nil)
	if _, err := c.upstream.Write(answer); err != nil {
		t.Fatal(err)
	}
	rubbish := make([]byte, 1<<16)
	for range 100 {
		if _, err := c.client.Write(rubbish); err != nil {
			t.Fatalf("the socket was reset: %v", err)
		}
	}
	got, err := io.ReadAll(c.client)
	if want := string(wire.AppendFrame(nil, wire.Close, wire.AppendClose(nil, 1000, "bye"), nil)); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want the close frame and the end", got, err)
	}
	if err := c.client.Close(); err != nil {
		t.Error(err)
	}
	if err := c.upstream.Close(); err != nil {
		t.Error(err)
	}
	<-c.over
}

// A peer that never ends its socket is not waited for for ever.
func TestAPeerThatNeverEndsIsGivenUp(t *testing.T) {
	c := open(t, startLoop(t), nil)
	begun := time.Now()
	c.Lock()
	k := c.k
	fds := [2]int32{k.legs[core.Client].fd, k.legs[core.Upstream].fd}
	c.Unlock()
	if fds[0] == none || fds[1] == none {
		t.Fatal("there are no sockets")
	}
	// The core is Done without a reset when both have answered a close frame.
	c.Lock()
	c.core.Disconnect(driver.Now(), core.End{By: core.ByAdmin, Cause: core.CauseDisconnected, Code: 1000}, time.Minute)
	c.Changed()
	c.Unlock()
	_, _ = c.client.Write(wire.AppendFrame(nil, wire.Close, nil, &[4]byte{1, 2, 3, 4}))
	_, _ = c.upstream.Write(wire.AppendFrame(nil, wire.Close, nil, nil))
	select {
	case <-c.over:
	case <-time.After(patience):
		t.Fatal("still waiting")
	}
	if took := time.Since(begun); took < lingerTimeout {
		t.Errorf("given up after %v, must not be before %v", took, lingerTimeout)
	}
}
