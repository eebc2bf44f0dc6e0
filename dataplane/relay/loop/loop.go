// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"fmt"
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/tcp"
)

// Loop is a set of workers.
type Loop struct {
	workers []*worker
	next    atomic.Uint32
}

// New starts a loop with so many workers; as many as the process has processors
// are enough. The error is the kernel's.
func New(workers int) (*Loop, error) {
	l := &Loop{}
	for range workers {
		w, err := newWorker()
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("start an event loop: %w", err)
		}
		l.workers = append(l.workers, w)
	}
	return l, nil
}

// Close ends the workers. Every connection is over.
func (l *Loop) Close() {
	for _, w := range l.workers {
		w.close()
	}
}

// Start drives a connection with these two sockets, which are the loop's from here
// on. The caller holds the connection's lock. Where there is an error, which may
// be ErrNotPlain, the sockets are still the caller's.
func (l *Loop) Start(conn driver.Connection, client, upstream net.Conn, early []byte) (*Conn, error) {
	w := l.workers[int(l.next.Add(1))%len(l.workers)]
	k := &Conn{conn: conn, core: conn.Core(), worker: w, slot: none, timer: none}
	k.legs[core.Client].fd, k.legs[core.Upstream].fd = none, none
	fd, err := descriptor(client)
	if err != nil {
		return nil, err
	}
	if err := k.Attach(upstream, early); err != nil {
		_ = unix.Close(int(fd)) // It is a duplicate.
		return nil, err
	}
	k.legs[core.Client].fd = fd
	_ = client.Close() // What is left of it is the duplicate.
	return k, nil
}

// descriptor returns a duplicate of a socket's descriptor. Go's own poller knows
// nothing of it, which saves the 700 bytes that it would keep.
func descriptor(sock net.Conn) (int32, error) {
	raw := tcp.InfoOf(sock).Raw()
	if raw == nil {
		return none, ErrNotPlain
	}
	var (
		fd     int
		failed error
	)
	err := raw.Control(func(of uintptr) { fd, failed = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return none, fmt.Errorf("take a socket over: %w", err)
	}
	return int32(fd), nil
}

// none is no descriptor, no slot, no place among the timers.
const none = -1
