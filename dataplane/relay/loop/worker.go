// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
	"github.com/wsproxy/wsproxy/dataplane/relay/tcp"
)

// worker serves its connections, one after the other. Its goroutine alone uses
// what is not guarded by mu.
type worker struct {
	// epoll tells what happened to sockets. It is edge-triggered, so that nothing
	// has to be told to it when a leg blocks or wakes up. It is itself a file in
	// Go's poller: waiting for it costs no thread.
	epoll int
	file  *os.File
	raw   syscall.RawConn
	// ready is what raw.Read calls; it leaves in events[:count] what happened.
	ready  func(uintptr) bool
	events [256]unix.EpollEvent
	count  int

	// bell is an eventfd that others ring when there is mail.
	bell int

	slots  slots
	timers timers
	// guests are those that are no connections yet; due is when one of them may be
	// waiting for its deadline, 0 where none is.
	guests     map[*Conn]*Guest
	due        core.Instant
	endings    endings
	generation uint32
	// line has the connections that have more to do, after the others.
	line []*Conn
	// deadline is when waiting for events ends; 0 where it does not.
	deadline core.Instant
	// late says that more is due than was done in one go, crowded that more visitors
	// were called than had their turn.
	late, crowded bool

	// untimed counts the turns until the next one whose way through is timed.
	untimed int
	// buffer is what all connections are read into.
	buffer []byte
	// room says how much a socket would surely take, unacked how much it has taken
	// that is not acknowledged; they may be replaced by a test.
	room, unacked func(fd int) int
	// humbleUntil is until when nothing is believed of what a socket will take.
	humbleUntil, now core.Instant

	done chan struct{}

	mu sync.Mutex
	// The fields below are guarded by mu.
	mail    []*Conn
	calls   []*Guest
	leaving []*ending
	rung    bool // the bell was rung and not heard yet
	closing bool
}

// bellData is the epoll data of the bell, endingData that of every ending.
const (
	bellData   = -1
	endingData = -2
)

func newWorker() (*worker, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll) // The error that counts is err.
		return nil, err
	}
	w := &worker{epoll: epoll, bell: bell, buffer: make([]byte, bufferBytes), room: room, unacked: tcp.Unacked, done: make(chan struct{})}
	err = errors.Join(
		unix.SetNonblock(epoll, true), // so that NewFile gives it to Go's poller
		unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: bellData}),
	)
	w.file = os.NewFile(uintptr(epoll), "epoll")
	if err == nil {
		err = w.file.SetReadDeadline(time.Time{}) // It fails where Go's poller does not have it.
	}
	if err == nil {
		w.raw, err = w.file.SyscallConn()
	}
	if err != nil {
		_, _ = w.file.Close(), unix.Close(bell)
		return nil, err
	}
	w.ready = func(uintptr) bool { return w.poll() > 0 }
	go w.run()
	return w, nil
}

// close ends the worker.
func (w *worker) close() {
	w.mu.Lock()
	w.closing = true
	w.ringLocked()
	w.mu.Unlock()
	<-w.done
}

// run is the worker's goroutine.
func (w *worker) run() {
	defer close(w.done)
	defer func() {
		w.evict()
		w.endings.close()
		_, _ = w.file.Close(), unix.Close(w.bell) // Nothing is lost with them.
	}()
	for {
		w.wait()
		w.now = driver.Now()
		for i := range w.events[:w.count] {
			w.event(&w.events[i])
		}
		if !w.readMail() {
			return
		}
		w.serveLine()
		w.fire()
		w.setDeadline()
		// Others have their turn before the next batch: with a thousand connections
		// a worker would hardly ever wait, and they would.
		runtime.Gosched()
	}
}

// wait waits until something happens or is due, unless somebody waits for a turn.
func (w *worker) wait() {
	w.count = 0
	if len(w.line) > 0 || w.late || w.crowded {
		w.poll()
		return
	}
	_ = w.raw.Read(w.ready) // Its only error here is the deadline's.
}

// poll asks for events and does not wait.
func (w *worker) poll() int {
	n := harvest(w.epoll, w.events[:])
	w.count = n
	return n
}

// event handles an event.
func (w *worker) event(e *unix.EpollEvent) {
	switch e.Fd {
	case bellData:
		return // The mail is read after every batch.
	case endingData:
		w.endings.event(uint32(e.Pad))
		return
	}
	k := w.slots.of(e.Fd >> 1)
	if k == nil {
		return
	}
	if k.conn == nil {
		k.event(core.Side(e.Fd&1), uint32(e.Pad), e.Events)
		w.greet(w.guests[k])
		return
	}
	k.conn.Lock()
	k.event(core.Side(e.Fd&1), uint32(e.Pad), e.Events)
	w.turn(k)
}

// turn gives a connection its turn, and lets its lock go.
func (w *worker) turn(k *Conn) {
	if k.ended {
		k.conn.Unlock()
		w.forget(k)
		return
	}
	if k.slot == none {
		k.slot = w.slots.take(k)
	}
	k.run(w.now)
	if !k.ended {
		k.conn.Unlock()
		return
	}
	socks := [...]int32{k.legs[core.Client].fd, k.legs[core.Upstream].fd}
	k.legs = [2]leg{{fd: none}, {fd: none}}
	k.conn.Unlock()
	w.forget(k)
	w.endings.end(w, k.conn, socks[:])
}

// forget frees what a worker has for a connection.
func (w *worker) forget(k *Conn) {
	w.timers.remove(k)
	w.slots.free(k)
}

// requeue puts a connection in line for another turn.
func (w *worker) requeue(k *Conn) {
	if !k.queued {
		k.queued = true
		w.line = append(w.line, k)
	}
}

// serveLine gives those a turn that were in line when it began.
func (w *worker) serveLine() {
	line := w.line
	w.line = nil
	for _, k := range line {
		k.queued = false
		k.conn.Lock()
		w.turn(k)
	}
	if len(w.line) == 0 {
		w.line = line[:0]
		clear(line[:cap(line)])
	}
}

// maxFired is how many connections are looked at for a timer before others have
// their turn: a setting that is changed may make all of them due at once.
const maxFired = 256

// fire does what is due, or some of it.
func (w *worker) fire() {
	w.late = true
	for range maxFired {
		k := w.timers.due(w.now)
		if k == nil {
			w.late = false
			break
		}
		k.conn.Lock()
		if !k.ended {
			if next := k.core.Next(); next != 0 && next <= w.now {
				k.core.Tick(w.now, k.peer)
			}
			k.fed()
			k.rearm = true
		}
		w.turn(k)
	}
	w.remind()
	w.endings.expire(w.now)
}

// arm sets a connection's timer, if that would fire too late.
func (w *worker) arm(k *Conn, at core.Instant) {
	if at != 0 {
		w.timers.set(k, driver.Coarse(w.now, at))
	}
}

// setDeadline makes waiting end when something is due.
func (w *worker) setDeadline() {
	next := w.timers.next()
	if ending := w.endings.next(); next == 0 || ending != 0 && ending < next {
		next = ending
	}
	if next == 0 || w.due != 0 && w.due < next {
		next = w.due
	}
	if next == w.deadline && (next == 0 || next > w.now) {
		return
	}
	w.deadline = next
	var at time.Time
	if next != 0 {
		at = driver.Wall(next)
	}
	_ = w.file.SetReadDeadline(at) // It worked when the worker began.
}

// post puts a connection into the worker's mail.
func (w *worker) post(k *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k.posted {
		return
	}
	k.posted = true
	w.mail = append(w.mail, k)
	w.ringLocked()
}

// seeOff hands the worker a socket that is no connection's any more.
func (w *worker) seeOff(e *ending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaving = append(w.leaving, e)
	w.ringLocked()
}

// ringLocked wakes the worker.
func (w *worker) ringLocked() {
	if !w.rung {
		w.rung = true
		_, _ = unix.Write(w.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // It overflows after 2^64 times.
	}
}

// maxCalls is how many visitors have a turn before others have theirs. Reading a
// handshake and dialing takes some ten microseconds, and accepting a client less: a
// flood of them would hold up the messages of those who are there.
const maxCalls = 64

// readMail looks at what others left. It returns false where the worker is to end.
func (w *worker) readMail() bool {
	w.mu.Lock()
	mail, calls, leaving, closing := w.mail, w.calls, w.leaving, w.closing
	w.mail, w.calls, w.leaving, w.rung = nil, nil, nil, false
	if w.crowded = len(calls) > maxCalls && !closing; w.crowded {
		calls, w.calls = calls[:maxCalls:maxCalls], calls[maxCalls:]
	}
	for _, k := range mail {
		k.posted = false
	}
	for _, g := range calls {
		g.called = false
	}
	w.mu.Unlock()
	for _, g := range calls {
		w.greet(g)
	}
	for _, e := range leaving {
		w.endings.begin(w, e)
	}
	for _, k := range mail {
		k.conn.Lock()
		w.turn(k)
	}
	return !closing
}

// watch makes epoll tell of a socket.
func (w *worker) watch(fd int, data int32, generation uint32) error {
	return epollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET, Fd: data, Pad: int32(generation),
	})
}

// nextGeneration returns a number that no socket had for a long time; never 0.
func (w *worker) nextGeneration() uint32 {
	if w.generation++; w.generation == 0 {
		w.generation++
	}
	return w.generation
}
