// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package native

import (
	"context"
	"path/filepath"
	"strconv"

	"github.com/wsproxy/wsproxy/hack/bench/proc"
)

// Backend is the server behind a proxy.
type Backend struct {
	*proc.Group
	page *page
}

// StartBackend starts a backend on a port of host. What a path asks of it is said
// in backend.c.
func (p Programs) StartBackend(ctx context.Context, dir, host string, port int) (*Backend, error) {
	page, err := newPage(filepath.Join(dir, "backend.counters"))
	if err != nil {
		return nil, err
	}
	group, err := proc.Start(ctx, proc.Command{
		Args: []string{p.Backend, host, strconv.Itoa(port), page.path},
		Log:  filepath.Join(dir, "backend.log"),
	})
	if err != nil {
		page.close()
		return nil, err
	}
	return &Backend{Group: group, page: page}, nil
}

// Counters returns what it has counted.
func (b *Backend) Counters() *Counters { return b.page.read() }

// Stop ends it.
func (b *Backend) Stop() {
	b.Group.Stop()
	b.page.close()
}
