// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package listener_test

import (
	"syscall"
	"testing"

	"github.com/go-logr/logr"

	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

func TestTheListenerHasReuseAddrAsConfigured(t *testing.T) {
	for _, want := range []bool{true, false} {
		l := listen(t, config.NewStore(compile(t, 1, want, false), ""), certs.NewPair("", "", logr.Discard()))
		raw, err := l.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var value int
		var option error
		if err := raw.Control(func(fd uintptr) {
			value, option = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR)
		}); err != nil || option != nil {
			t.Fatal(err, option)
		}
		if got := value != 0; got != want {
			t.Errorf("SO_REUSEADDR is %v with reuseAddr %v", got, want)
		}
	}
}
