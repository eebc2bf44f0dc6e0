// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

const (
	// maxRequestBytes is far above the largest request, a snapshot with some
	// thousand endpoints of 60 bytes each.
	maxRequestBytes = 4 << 20
	// handshakeTimeout bounds TCP to HTTP/2, TLS included, so that a caller that
	// says nothing holds no connection.
	handshakeTimeout = 10 * time.Second
	// A caller that sent nothing for pingAfter is asked, and is gone when it does
	// not answer within pingTimeout. Callers may ask as often as pingAllowed.
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second
	pingAllowed = 5 * time.Second
	// maxStreams bounds what one caller may ask at a time.
	maxStreams = 100
)

// Options are what a Server is made of.
type Options struct {
	Store    *config.Store
	Registry *registry.Registry
	// Drain begins to drain and returns at once; further calls change nothing.
	Drain func()
	// Draining says whether the process is draining.
	Draining func() bool
	// Certs make the server speak mutual TLS and tell callers by their
	// certificates. Nil: whoever can connect may call everything, without TLS,
	// and then Serve takes loopback listeners only.
	Certs  *certs.Dir
	Logger logr.Logger
	// GRPC are more options of the gRPC server; there need be none.
	GRPC []grpc.ServerOption
}

// Server answers the control protocol.
type Server struct {
	grpc  *grpc.Server
	plain bool
	// stop makes those who watch come to an end, which the server waits for.
	stop func()
}

// New returns a server that does not serve yet.
func New(o Options) *Server {
	var transport credentials.TransportCredentials
	var check authorize
	if o.Certs == nil {
		transport, check = insecure.NewCredentials(), allowEverything
	} else {
		transport, check = credentials.NewTLS(tlsConfig(o.Certs)), byCertificate
	}
	server := grpc.NewServer(append([]grpc.ServerOption{
		grpc.Creds(transport),
		grpc.UnaryInterceptor(check.unary),
		grpc.StreamInterceptor(check.stream),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingAllowed, PermitWithoutStream: true}),
	}, o.GRPC...)...)
	dataplanev1alpha1.RegisterConfigurationServer(server, &configuration{
		store: o.Store, registry: o.Registry, drain: o.Drain, draining: o.Draining, logger: o.Logger,
	})
	stopping := make(chan struct{})
	dataplanev1alpha1.RegisterConnectionsServer(server, &connections{
		registry: o.Registry, logger: o.Logger, draining: o.Draining, stopping: stopping,
	})
	return &Server{grpc: server, plain: o.Certs == nil, stop: sync.OnceFunc(func() { close(stopping) })}
}

// Serve answers calls until Stop, and closes the listener. The error says that
// the listener failed, or that it is not on loopback though there is no TLS.
func (s *Server) Serve(l net.Listener) error {
	if s.plain && !onLoopback(l.Addr()) {
		return errors.Join(fmt.Errorf("%s: without TLS it must be a loopback address", l.Addr()), l.Close())
	}
	if err := s.grpc.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Stop lets running calls end until ctx does, then ends them. Those who watch are
// told the last changes.
func (s *Server) Stop(ctx context.Context) {
	s.stop()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.grpc.GracefulStop()
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.grpc.Stop() // It makes GracefulStop return.
		<-stopped
	}
}

func onLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
