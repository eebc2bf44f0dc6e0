// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package native

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wsproxy/wsproxy/hack/bench/proc"
)

// Patience is how long a command may take. The slowest is opening 9,500
// connections through a slow proxy on a busy machine.
const Patience = 90 * time.Second

// Load is a program full of clients. A method returns when they have done what it
// says, or with what went wrong.
type Load struct {
	*proc.Group
	ctx     context.Context //nolint:containedctx // it is that of the program, which the methods speak to.
	page    *page
	stdin   io.WriteCloser
	answers chan string
}

// StartLoad starts clients that have no connection yet.
func (p Programs) StartLoad(ctx context.Context, dir string) (_ *Load, err error) {
	page, err := newPage(filepath.Join(dir, "load.counters"))
	if err != nil {
		return nil, err
	}
	fromUs, toIt, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromIt, toUs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer fromUs.Close()
	defer toUs.Close()
	group, err := proc.Start(ctx, proc.Command{
		Args: []string{p.Load, page.path}, Log: filepath.Join(dir, "load.log"), Stdin: fromUs, Stdout: toUs,
	})
	if err != nil {
		toIt.Close()
		fromIt.Close()
		page.close()
		return nil, err
	}
	l := &Load{Group: group, ctx: ctx, page: page, stdin: toIt, answers: make(chan string, 1)}
	go func() {
		defer fromIt.Close()
		defer close(l.answers)
		for lines := bufio.NewScanner(fromIt); lines.Scan(); {
			l.answers <- lines.Text()
		}
	}()
	return l, nil
}

// Counters returns what it has counted.
func (l *Load) Counters() *Counters { return l.page.read() }

// Stop ends it, and with it all its connections.
func (l *Load) Stop() {
	l.Group.Stop()
	l.stdin.Close()
	for range l.answers { // Lets the reader end.
	}
	l.page.close()
}

// Healthy returns an error where connections were lost or messages damaged.
func (l *Load) Healthy() error {
	if c := l.Counters(); c.Lost+c.Wrong+c.Failed > 0 {
		return fmt.Errorf("%d connections lost, %d handshakes failed, %d wrong messages: %w", c.Lost, c.Failed, c.Wrong, l.Ended())
	}
	return nil
}

func (l *Load) command(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(l.stdin, line); err != nil {
		return errors.Join(err, l.Ended())
	}
	patience := time.NewTimer(Patience)
	defer patience.Stop()
	select {
	case answer, ok := <-l.answers:
		switch {
		case !ok:
			return l.Ended()
		case answer != "ok":
			return fmt.Errorf("%s: %s: %w", line, strings.TrimPrefix(answer, "error "), l.Ended())
		}
		return nil
	case <-patience.C:
		return fmt.Errorf("%s: not done within %v; %d connections are open", line, Patience, l.Counters().Open)
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
}

// Target is where connections go.
type Target struct {
	Host string
	Port int
	// Path is what the backend is asked for.
	Path string
	// Parallel is how many handshakes are under way at a time.
	Parallel int
	// Head is the least size of a handshake in bytes, ReceiveBuffer that of the
	// socket; 0 is what comes by itself.
	Head, ReceiveBuffer int
}

// Open opens so many more connections.
func (l *Load) Open(t Target, count int) error {
	return l.command("open %s %d %s %d %d %d %d", t.Host, t.Port, t.Path, count, t.Parallel, t.Head, t.ReceiveBuffer)
}

// Talk keeps one message of size bytes under way on every connection.
func (l *Load) Talk(size int) error { return l.command("talk %d", size) }

// Say sends one message on every connection and waits for all echoes.
func (l *Load) Say(size int) error { return l.command("say %d", size) }

// Rate sends so many messages a second in all, whatever comes back.
func (l *Load) Rate(size, perSecond int) error { return l.command("rate %d %d", size, perSecond) }

// Flood sends messages on all connections as fast as they are taken.
func (l *Load) Flood(size int) error { return l.command("flood %d", size) }

// Go sends a message on every connection that nobody answers.
func (l *Load) Go() error { return l.command("go") }

// Stall stops to read.
func (l *Load) Stall() error { return l.command("stall") }

// Churn opens and closes connections.
func (l *Load) Churn(t Target) error {
	return l.command("churn %s %d %s %d", t.Host, t.Port, t.Path, t.Parallel)
}

// Quiet ends Talk, Rate and Churn and waits for what is under way.
func (l *Load) Quiet() error { return l.command("quiet") }

// Close closes all connections with a close frame and waits until they are gone.
func (l *Load) Close() error { return l.command("close") }

// Reset closes the sockets.
func (l *Load) Reset() error { return l.command("reset") }
