// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"net/http"
	"sync"

	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

// Server is the aggregated API server.
type Server struct {
	Generic *genericapiserver.GenericAPIServer
	Fleet   *fleet.Fleet
	// Metrics are those of the server. It serves them itself at /metrics to those who
	// show that they may read them; whoever serves this lets everybody.
	Metrics http.Handler
}

// Run serves until ctx ends and the requests that are under way have been
// answered. The error says why it could not serve.
func (s *Server) Run(ctx context.Context) error {
	// The pods are left last: a request that is being answered still asks them.
	lasting, leave := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	defer watching.Wait()
	defer leave()
	watching.Go(func() { s.Fleet.Run(lasting) })
	return s.Generic.PrepareRun().RunWithContext(ctx)
}
