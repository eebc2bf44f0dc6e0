// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package relay_test

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// limitFiles is for a test that is skipped here.
func limitFiles(uint64) error { return errors.ErrUnsupported }

func unread(t *testing.T, _ net.Conn) int {
	t.Helper()
	t.Skip("this system does not say what was not read")
	return 0
}

func littleOnTheWay(_, _ string, _ syscall.RawConn) error { return nil }

func leastReceiveBuffer(_, _ string, _ syscall.RawConn) error { return nil }

func leastSendBuffer(t *testing.T, _ net.Conn) bool {
	t.Helper()
	t.Skip("this system does not say who the other end is")
	return false
}
