// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package relay

import "net"

// front returns what net/http accepts from.
func (s *Server) front(listener net.Listener) (net.Listener, error) { return listener, nil }
