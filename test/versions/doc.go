// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package versions tests what the resourceVersions of connections promise, with the
// registries of the data plane and the merge of the API server and without a network:
// in random histories pods with skewed clocks are born, open and close connections,
// drain, crash and are restarted; replicas learn of that late, are cut off from it for
// minutes, or are restarted themselves; reports are late and streams break. A client
// lists, watches, is cut off and resumes at another replica. At each step it must see
// what has happened up to its version in the processes that its replica follows, and
// after quiet time exactly what is.
package versions
