// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
	"sigs.k8s.io/controller-runtime/pkg/client"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// Options say what is tried.
type Options struct {
	// Client asks the cluster. It knows the types of wsproxy.io,
	// connections.wsproxy.io and the core group.
	Client client.Client
	// Namespace and Name are the proxy's. One of that name that an earlier check left is
	// removed first.
	Namespace, Name string
	// Listener is where data-plane pods reach this process. It is closed.
	Listener net.Listener
	// API says whether connections are looked for, and ended, in the Kubernetes API.
	API bool
	// Step is how long each step may take.
	Step time.Duration
	// Out is told, in a line each, what has been seen.
	Out io.Writer
}

// The close code with which the API is asked to end the connection, and the reason.
const (
	code   = 4001
	reason = "the check is done"
)

// Run tries the installation. Errors: the first step that failed, with what was seen
// last, and what could not be removed.
func Run(ctx context.Context, o Options) (err error) {
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	echo := &upstream{closed: make(chan int, 1)}
	go func() { served <- echo.serve(serving, o.Listener) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served)
	}()
	if err := o.remove(ctx); err != nil {
		return err
	}
	defer func() {
		// Also where the check was interrupted.
		err = errors.Join(err, o.remove(context.WithoutCancel(ctx)))
	}()
	url, err := o.proxy(ctx)
	if err != nil {
		return err
	}
	conn, name, err := o.open(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close()
	if !o.API {
		return o.leave(ctx, conn, echo)
	}
	if err := o.see(ctx, name); err != nil {
		return err
	}
	return o.end(ctx, name, conn, echo)
}

// open comes through the proxy. The Service leads to a pod some moments after the pod
// is ready.
func (o *Options) open(ctx context.Context, url string) (conn *websocket.Conn, name string, err error) {
	err = o.until(ctx, "a WebSocket through the proxy", func(ctx context.Context) (err error) {
		conn, name, err = dial(ctx, url)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	o.say("a WebSocket through the proxy is open, and a message came back; its name is %s", strconv.Quote(name))
	return conn, name, nil
}

// see finds the connection in the API.
func (o *Options) see(ctx context.Context, name string) error {
	found := &connectionsv1alpha1.WebSocketConnection{}
	err := o.until(ctx, "the connection in the Kubernetes API", func(ctx context.Context) error {
		return o.Client.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: name}, found)
	})
	if err != nil {
		return err
	}
	if found.Spec.Proxy != o.Name || found.Status.Phase != connectionsv1alpha1.ConnectionOpen {
		return fmt.Errorf("connection %s is one of proxy %q and %s; it should be one of %q and Open", name, found.Spec.Proxy, found.Status.Phase, o.Name)
	}
	o.say("the Kubernetes API has it: %s, from %s to %s", found.Status.Phase, found.Spec.Client.SourceIP, found.Status.Upstream)
	return nil
}

// end ends the connection by the API: the client and the upstream are told why.
func (o *Options) end(ctx context.Context, name string, conn *websocket.Conn, echo *upstream) error {
	ctx, cancel := context.WithTimeout(ctx, o.Step)
	defer cancel()
	of := &connectionsv1alpha1.WebSocketConnection{}
	of.Namespace, of.Name = o.Namespace, name
	wish := &connectionsv1alpha1.WebSocketDisconnect{Code: new(int32(code)), Reason: new(reason)}
	if err := o.Client.SubResource(connectionsv1alpha1.SubresourceDisconnect).Create(ctx, of, wish); err != nil {
		return fmt.Errorf("disconnect %s: %w", name, err)
	}
	gotCode, gotReason, err := ends(ctx, conn)
	if err != nil {
		return fmt.Errorf("wait for the close frame of the client: %w", err)
	}
	if gotCode != code || gotReason != reason {
		return fmt.Errorf("the client was closed with %d %q; it should be %d %q", gotCode, gotReason, code, reason)
	}
	if err := echo.heard(ctx, code); err != nil {
		return err
	}
	o.say("ended by the API: the client and the upstream were closed with %d", code)
	return nil
}

// leave ends the connection as clients do.
func (o *Options) leave(ctx context.Context, conn *websocket.Conn, echo *upstream) error {
	ctx, cancel := context.WithTimeout(ctx, o.Step)
	defer cancel()
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, reason)
	if err := conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(o.Step)); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	got, _, err := ends(ctx, conn)
	if err != nil {
		return fmt.Errorf("wait for the answer to the client's close frame: %w", err)
	}
	if got != websocket.CloseNormalClosure {
		return fmt.Errorf("the client closed with 1000 and was answered %d", got)
	}
	if err := echo.heard(ctx, websocket.CloseNormalClosure); err != nil {
		return err
	}
	o.say("closed by the client: the upstream was told")
	return nil
}

// heard returns an error unless the upstream was closed with a code.
func (u *upstream) heard(ctx context.Context, code int) error {
	select {
	case got := <-u.closed:
		if got != code {
			return fmt.Errorf("the upstream was closed with %d; it should be %d", got, code)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the close frame of the upstream: %w", ctx.Err())
	}
}

func (o *Options) say(format string, arguments ...any) {
	fmt.Fprintf(o.Out, format+"\n", arguments...)
}

// pause is how long is waited before something is tried again.
const pause = 250 * time.Millisecond

// until tries something until it succeeds, for Step at most. Rights and addresses that
// were given a moment ago are not known everywhere yet.
func (o *Options) until(ctx context.Context, what string, try func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, o.Step)
	defer cancel()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		// What was cut off by the clock says less than what failed before.
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", what, ctx.Err(), last)
		case <-time.After(pause):
		}
	}
}
