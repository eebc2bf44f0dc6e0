// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"log"

	"github.com/go-logr/logr"
)

// errorLog passes what net/http has to say on to the log. It speaks of clients
// that fail before their handshake: broken TLS, broken requests, port scans.
func errorLog(logger logr.Logger) *log.Logger {
	return log.New(httpLog{logger}, "", 0)
}

type httpLog struct{ logger logr.Logger }

func (l httpLog) Write(line []byte) (int, error) {
	l.logger.V(1).Info("client failed before its handshake", "error", string(bytes.TrimSpace(line)))
	return len(line), nil
}
