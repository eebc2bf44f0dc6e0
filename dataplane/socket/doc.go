// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package socket sets options of sockets before they are bound or connected,
// for listeners and dialers alike. It knows nothing of what the sockets are for.
package socket
