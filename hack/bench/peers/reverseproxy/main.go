// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command reverseproxy is Go's own reverse proxy, as a program would use it.
//
//	reverseproxy LISTEN-ADDRESS UPSTREAM-ADDRESS
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: reverseproxy LISTEN-ADDRESS UPSTREAM-ADDRESS")
		os.Exit(2)
	}
	server := &http.Server{Addr: os.Args[1], Handler: newProxy(os.Args[2])} // #nosec G112 -- its clients are ours.
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}

// newProxy returns a handler that relays everything to an address.
func newProxy(upstream string) http.Handler {
	target := &url.URL{Scheme: "http", Host: upstream}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		// Clients that are cut off in the middle of something are no news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}
