// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package loop

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/relay/core"
	"github.com/wsproxy/wsproxy/dataplane/relay/wire"
)

// stream returns the bytes of messages that a side sends, about so many in all.
func stream(from core.Side, total int) []byte {
	rng := rand.New(rand.NewPCG(uint64(total), 1))
	var b []byte
	for len(b) < total {
		payload := make([]byte, []int{0, 10, 125, 4000, 70_000, 300_000}[rng.IntN(6)])
		for i := range payload {
			payload[i] = byte(rng.Uint32())
		}
		var key *[4]byte
		if from == core.Client {
			key = &[4]byte{1, 2, 3, byte(rng.Uint32())}
		}
		b = wire.AppendFrame(b, wire.Binary, payload, key)
		if rng.IntN(3) == 0 {
			b = wire.AppendFrame(b, wire.Ping, payload[:min(len(payload), 20)], key)
		}
	}
	return b
}

// cross sends a stream and compares what arrives.
func cross(t *testing.T, from, to *net.TCPConn, sent []byte) {
	t.Helper()
	go func() { _, _ = from.Write(sent) }() // What fails is noticed by the reader.
	got := make([]byte, len(sent))
	_ = to.SetReadDeadline(time.Now().Add(patience))
	for n := 0; n < len(got); {
		if n > 0 && n < len(got)/2 {
			time.Sleep(100 * time.Microsecond) // slower than its writer, so that it stalls often
		}
		m, err := to.Read(got[n:min(len(got), n+50_000)])
		if err != nil {
			t.Fatalf("%d of %d bytes: %v", n, len(got), err)
		}
		n += m
	}
	if !bytes.Equal(got, sent) {
		t.Error("other bytes arrived than were sent")
	}
}

func TestBytesCrossUnchangedWhileSocketsStall(t *testing.T) {
	const total = 6 << 20
	for name, prepare := range map[string]func(client, upstream *net.TCPConn){
		"sockets as they are": nil,
		"small sockets": func(client, upstream *net.TCPConn) {
			_, _ = client.SetWriteBuffer(4096), upstream.SetWriteBuffer(4096)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, startLoop(t), prepare)
			up, down := make(chan struct{}), make(chan struct{})
			go func() { defer close(up); cross(t, c.client, c.upstream, stream(core.Client, total)) }()
			go func() { defer close(down); cross(t, c.upstream, c.client, stream(core.Upstream, total)) }()
			<-up
			<-down
		})
	}
}

// flood sends messages until the socket ends.
func flood(sock net.Conn, from core.Side) {
	var key *[4]byte
	if from == core.Client {
		key = new([4]byte)
	}
	message := wire.AppendFrame(nil, wire.Binary, make([]byte, 1<<20), key)
	for {
		if _, err := sock.Write(message); err != nil {
			return
		}
	}
}

// However much a peer sends to one who does not read, in both directions: no more
// is kept than keepBytes, but for the few of leastBytes.
func TestNoMoreIsKeptThanTheBound(t *testing.T) {
	for _, both := range []bool{false, true} {
		c := open(t, startLoop(t), nil)
		go flood(c.client, core.Client)
		if both {
			go flood(c.upstream, core.Upstream)
		}
		var (
			upstream, client leg
			moved            uint64
		)
		eventually(t, "it stalls", func() bool {
			time.Sleep(50 * time.Millisecond) // for the kernels' buffers to grow and fill up
			before := moved
			moved = c.moved(core.Client) + c.moved(core.Upstream)
			upstream, client = c.state(core.Upstream), c.state(core.Client)
			return upstream.keeping && client.keeping == both && moved == before
		})
		if kept := upstream.kept + client.kept; kept > keepBytes+leastBytes {
			t.Errorf("%d bytes are kept", kept)
		}
		if !both {
			// The other direction is not concerned.
			cross(t, c.upstream, c.client, stream(core.Upstream, 1<<20))
		}
	}
}

// A kernel that is short of memory takes less than a socket has room for. Nothing
// is lost then.
func TestAKernelThatTakesLessThanItSaidLosesNothing(t *testing.T) {
	l := startLoop(t)
	worker := l.workers[0]
	asked := make(chan int, 1000)
	worker.room = func(int) int {
		select {
		case asked <- 1:
		default:
		}
		return bufferBytes
	}
	c := open(t, l, func(_, upstream *net.TCPConn) { _ = upstream.SetWriteBuffer(4096) })
	sent := stream(core.Client, 8<<20)
	go func() { _, _ = c.client.Write(sent) }()
	eventually(t, "it stalls", func() bool { return c.state(core.Upstream).kept > 0 })
	if len(asked) == 0 {
		t.Error("the kernel was not asked")
	}
	got := make([]byte, len(sent))
	_ = c.upstream.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c.upstream, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("other bytes arrived than were sent, %v", err)
	}
}

// A worker whose sockets took less than the kernel said believes it of none of them,
// until humility has passed.
func TestAKernelThatWasWrongIsNotBelievedForAWhile(t *testing.T) {
	asked := 0
	w := &worker{now: 1, room: func(int) int { asked++; return bufferBytes }}
	believes := func() bool { return w.surely(&leg{fd: math.MaxInt32}) == bufferBytes }
	if !believes() || asked != 1 {
		t.Fatalf("it was asked %d times", asked)
	}
	w.misjudged(w.now)
	w.now = w.now.Add(humility - 1)
	if believes() || asked != 1 {
		t.Errorf("it is believed at once, asked %d times", asked)
	}
	w.now = w.now.Add(1)
	if !believes() || asked != 2 {
		t.Errorf("it is not believed any more, asked %d times", asked)
	}
}

// What a socket does not take of a read that was larger than what may be kept is the
// mistake of whoever believed the kernel.
func TestAKernelThatTakesLessThanItSaidIsDoubted(t *testing.T) {
	l := startLoop(t)
	w, doubted := l.workers[0], make(chan bool, 1)
	w.room = func(int) int {
		if w.humbleUntil != 0 { // The worker runs this.
			select {
			case doubted <- true:
			default:
			}
		}
		return bufferBytes
	}
	sent := stream(core.Client, 1<<20)
	eventually(t, "the kernel was doubted, and is asked again", func() bool {
		c := open(t, l, func(_, upstream *net.TCPConn) { _ = upstream.SetWriteBuffer(4096) })
		go func() { _, _ = c.client.Write(sent) }()
		select {
		case <-doubted:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
}

// One connection moves all it can; another one, of the same worker, still gets its
// turn all the time.
func TestABulkConnectionStarvesNobody(t *testing.T) {
	l := startLoop(t)
	bulk, small := open(t, l, nil), open(t, l, nil)
	go flood(bulk.upstream, core.Upstream)
	go func() { _, _ = io.Copy(io.Discard, bulk.client) }()
	message := wire.AppendFrame(nil, wire.Text, []byte("hello"), nil)
	answer := make([]byte, len(message))
	eventually(t, "the bulk connection is at it", func() bool { return bulk.moved(core.Upstream) > 10<<20 })
	before := bulk.moved(core.Upstream)
	for range 200 {
		if _, err := small.upstream.Write(message); err != nil {
			t.Fatal(err)
		}
		_ = small.client.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(small.client, answer); err != nil {
			t.Fatal(err)
		}
	}
	if bulk.moved(core.Upstream) == before {
		t.Error("the bulk connection moved nothing meanwhile, so it disturbed nobody")
	}
}

func TestTheEndOfABulkStreamIsFound(t *testing.T) {
	for range 20 {
		c := open(t, startLoop(t), nil)
		sent := stream(core.Upstream, 1<<20)
		go func() { _, _ = c.upstream.Write(sent); _ = c.upstream.CloseWrite() }()
		_ = c.client.SetReadDeadline(time.Now().Add(patience))
		got, _ := io.ReadAll(io.LimitReader(c.client, int64(len(sent))))
		if !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes of %d", len(got), len(sent))
		}
		header := make([]byte, 2)
		if _, err := io.ReadFull(c.client, header); err != nil || header[0] != 0x80|byte(wire.Close) {
			t.Fatalf("%x %v after the end of the upstream, want a close frame", header, err)
		}
	}
}

// A read may be full of control frames, so that what is to be written is in more
// pieces than one system call takes.
func TestManyPiecesCross(t *testing.T) {
	var sent []byte
	for range 20_000 {
		sent = wire.AppendFrame(sent, wire.Ping, nil, nil)
		sent = wire.AppendFrame(sent, wire.Binary, []byte("x"), nil)
	}
	c := open(t, startLoop(t), nil)
	cross(t, c.upstream, c.client, sent)
}
