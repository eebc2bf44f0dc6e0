// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net"
	"net/http"
	"testing"
)

func TestMetricsAreServedAtTheirPathOnly(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := serveMetrics(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "wsproxy_api_pods 0\n") }))
	get := func(path string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	if code, body := get("/metrics"); code != http.StatusOK || body != "wsproxy_api_pods 0\n" {
		t.Errorf("/metrics: %d %q", code, body)
	}
	if code, body := get("/apis"); code != http.StatusNotFound {
		t.Errorf("/apis: %d %q", code, body)
	}
	stop()
	if code, body := get("/metrics"); code != 0 {
		t.Errorf("after the end: %d %q", code, body)
	}
}
