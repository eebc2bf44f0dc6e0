// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"io"
	"net/http"
	"time"
)

// requestTimeout bounds reading a request and answering it. It is longer than
// the longest scrape, of a million connections.
const requestTimeout = 10 * time.Second

// NewServer returns a server for /healthz, which is answered 200 for as long as
// the process answers at all, /readyz, which is answered 200, or 503 with the
// error of ready, and /metrics.
func NewServer(ready func() error, metrics http.Handler) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, ready()) })
	mux.Handle("GET /metrics", metrics)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      2 * requestTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	text := "ok\n"
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = err.Error() + "\n"
	}
	_, _ = io.WriteString(w, text) // Nobody is left to tell when the asker has gone.
}
