// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// dial returns the connection to the worker's pod. It is made in the background
// and made again when it breaks.
func (w *worker) dial() *grpc.ClientConn {
	fresh := &freshTLS{
		TransportCredentials: credentials.NewTLS(nil),
		serverName:           dataplanev1alpha1.ServerName(w.proxy.Namespace, w.proxy.Name),
		options:              &w.pusher.options,
	}
	conn, err := grpc.NewClient("passthrough:///"+w.target().Address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(fresh),
		// A proxy of the environment is for the way out of the cluster.
		grpc.WithNoProxy(),
		// A pod that starts refuses connections for about a second; more than
		// another second must not be lost on top.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 3 * time.Second,
		}),
		// A node that vanished sends no reset. The pod must allow a ping
		// every 20 s, with no call under way.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
	}, w.pusher.options.GRPC...)...)
	if err != nil {
		// Nothing of it depends on anything but the constants above.
		panic(err)
	}
	return conn
}

// freshTLS makes each connection with the certificates of its moment, so that a
// rotation needs no new client.
type freshTLS struct {
	credentials.TransportCredentials
	serverName string
	options    *Options
}

// ClientHandshake implements credentials.TransportCredentials.
func (f *freshTLS) ClientHandshake(ctx context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := f.options.ClientTLS(f.serverName)
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, f.serverName, raw)
}

// Clone implements credentials.TransportCredentials.
func (f *freshTLS) Clone() credentials.TransportCredentials {
	c := *f
	c.TransportCredentials = f.TransportCredentials.Clone()
	return &c
}
