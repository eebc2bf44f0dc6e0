// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollout lets only so many proxies replace their pods at a time: a class
// may have a thousand proxies, and a change of its image ends the connections of
// all their pods. With a limit, that is spread over time, and an image that does not
// start stops at the first few: who would be next learns that theirs failed.
//
// It looks at Deployments and must not know why their pods are replaced.
package rollout
