// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/wsproxy/wsproxy/dataplane/handshake"
)

// httpLog takes what net/http has to say. It speaks of clients that fail before
// their handshake: broken TLS, broken requests, port scans.
type httpLog struct{ server *Server }

func newHTTPLog(s *Server) *log.Logger { return log.New(httpLog{s}, "", 0) }

func (l httpLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	// What fails is known to net/http alone, and it tells nobody but its log.
	about, failed := strings.CutPrefix(text, "http: TLS handshake error from ")
	client, why, _ := strings.Cut(about, ": ")
	if address, _, err := net.SplitHostPort(client); err == nil && failed && !left(why) {
		l.server.notOpened(http.StatusBadRequest, handshake.ReasonTLS, "client", address, "detail", said(why, maxPath))
		return len(line), nil
	}
	l.server.Logger.V(1).Info("client failed before its handshake", "detail", said(text, maxPath))
	return len(line), nil
}

// left says whether a client just went away, as those do that look whether there is
// a listener: load balancers, every few seconds.
func left(why string) bool {
	return strings.HasSuffix(why, "EOF") || strings.Contains(why, "connection reset by peer") || strings.Contains(why, "i/o timeout")
}
