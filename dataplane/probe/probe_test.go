// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wsproxy/wsproxy/dataplane/probe"
)

func TestProbes(t *testing.T) {
	var notReady error
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "numbers\n") })
	handler := probe.NewServer(func() error { return notReady }, metrics).Handler
	for _, test := range []struct {
		method, path string
		ready        error
		code         int
		body         string
	}{
		{"GET", "/healthz", nil, 200, "ok\n"},
		{"GET", "/healthz", errors.New("draining"), 200, "ok\n"},
		{"GET", "/readyz", nil, 200, "ok\n"},
		{"GET", "/readyz", errors.New("draining"), 503, "draining\n"},
		{"GET", "/metrics", errors.New("draining"), 200, "numbers\n"},
		{"POST", "/metrics", nil, 405, "Method Not Allowed\n"},
		{"GET", "/", nil, 404, "404 page not found\n"},
	} {
		notReady = test.ready
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
		if w.Code != test.code || w.Body.String() != test.body {
			t.Errorf("%s %s with %v answers %d %q, want %d %q", test.method, test.path, test.ready, w.Code, w.Body, test.code, test.body)
		}
	}
}
