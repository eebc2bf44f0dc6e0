// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/certs"
)

// callers says which name in a client certificate gives the right to call a
// service. A service that is not here may be called by nobody.
var callers = map[string]string{
	dataplanev1alpha1.Configuration_ServiceDesc.ServiceName: dataplanev1alpha1.ClientOperator,
	dataplanev1alpha1.Connections_ServiceDesc.ServiceName:   dataplanev1alpha1.ClientAPIServer,
}

// tlsConfig is mutual TLS with what the files hold at the moment of each
// handshake. Sessions are not resumed: a resumed one would be verified with the
// bundle of the day on which it began.
func tlsConfig(dir *certs.Dir) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			pool, err := dir.ControlCA.Current()
			if err != nil {
				return nil, err
			}
			return &tls.Config{
				MinVersion:             tls.VersionTLS13,
				NextProtos:             []string{"h2"},
				GetCertificate:         dir.Control.GetCertificate,
				ClientAuth:             tls.RequireAndVerifyClientCert,
				ClientCAs:              pool,
				SessionTicketsDisabled: true,
			}, nil
		},
	}
}

// authorize decides whether a call may go on; its error is a gRPC status.
type authorize func(ctx context.Context, method string) error

func (a authorize) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := a(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func (a authorize) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := a(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(server, stream)
}

func allowEverything(context.Context, string) error { return nil }

// byCertificate lets a call go on when the verified certificate of its caller
// carries the name that the service asks for.
func byCertificate(ctx context.Context, method string) error {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return status.Error(codes.Unauthenticated, "the caller is unknown")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return status.Error(codes.Unauthenticated, "the caller has no verified certificate")
	}
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	names := info.State.VerifiedChains[0][0].DNSNames
	if want, known := callers[service]; !known || !slices.Contains(names, want) {
		return status.Errorf(codes.PermissionDenied, "%s may not be called by %q", service, names)
	}
	return nil
}
