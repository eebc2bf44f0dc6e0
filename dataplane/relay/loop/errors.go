// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package loop

import "errors"

// ErrNotPlain says that a socket is not TCP with nothing above it.
var ErrNotPlain = errors.New("not a plain TCP socket")
