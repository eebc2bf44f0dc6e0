// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clock is the hybrid logical clock of data-plane processes and of the
// replicas that ask them: wall time that never goes back and never says the same
// twice. It stamps the changes in the life of connections, and its stamps are the
// resourceVersions of the aggregated API.
//
// It does not know what is stamped, nor who asks.
package clock
