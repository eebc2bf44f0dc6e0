// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package loop

import (
	"errors"
	"net"

	"github.com/wsproxy/wsproxy/dataplane/relay/driver"
)

// Loop does not exist here.
type Loop struct{}

// Conn does not exist here.
type Conn struct{ driver.Driver }

// New returns errors.ErrUnsupported.
func New(int) (*Loop, error) { return nil, errors.ErrUnsupported }

// Start is never called.
func (*Loop) Start(driver.Connection, net.Conn, net.Conn, []byte) (*Conn, error) {
	return nil, errors.ErrUnsupported
}

// Close is never called.
func (*Loop) Close() {}

// Release is never called.
func (*Conn) Release() (net.Conn, error) { return nil, errors.ErrUnsupported }
