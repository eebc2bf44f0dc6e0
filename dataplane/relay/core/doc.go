// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package core is one proxied connection without any I/O: bytes, timer ticks,
// losses and commands go in; bytes to write, timers to set and an end with its
// cause come out.
//
// It opens no socket, reads no clock and starts no goroutine, so every promise
// of the relay can be tested without a network, and any driver (goroutines, an
// event loop) can run it. What it knows:
//
//   - frames and messages (receive.go, and skim.go for many small ones), and that
//     nothing of ours may be put between the bytes of one (output.go);
//   - control frames: forwarded, answered, swallowed (control.go);
//   - silence: pings of ours, and legs that are lost (keepalive.go);
//   - the loss of an upstream, and what must not be lost with it (loss.go,
//     hold.go, retain.go);
//   - messages to the client that are not the upstream's (send.go);
//   - closing: who began, with which code, when it is over (closing.go).
//
// It must not know what a socket, a header or a pod is.
//
// # The contract with the driver
//
// Calls are serialised by the driver. For each side one writer at a time does:
// Take, write, Wrote. The bytes of a Receive are referred to by the next Take of
// the other side, so the buffer they are in may be read into again only after
// that Take's Wrote, or after Kept, by which a driver that does not wait for
// sockets says that one took a part: then Rest, write, Wrote or Kept again. Between a Take of one side and its Wrote there is no Receive
// from the other: what came could not be passed on, and that is the backpressure.
// Everything else may be called meanwhile, but for Attached. After any call the
// driver looks at Pending of both sides and at Effects, and at Next where they
// say Rearm.
//
// sim_driver_test.go has a driver in 250 lines that does all of this.
package core
