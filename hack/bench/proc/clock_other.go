// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package proc

import (
	"errors"
	"time"
)

// CPUOf is there so that everything compiles.
func CPUOf(int) (time.Duration, error) { return 0, errors.ErrUnsupported }
