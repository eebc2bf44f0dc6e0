// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/http"
	"time"
)

// serveMetrics serves /metrics over plain HTTP, as operator and data planes do, until
// stop is called. A Prometheus reads them there with what every one of
// them has: the tokens that the API takes are for that API alone, so that no
// ServiceMonitor can say where one is.
func serveMetrics(listener net.Listener, metrics http.Handler) (stop func()) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // Until it is closed.
	}()
	return func() { _ = server.Close(); <-done }
}
