// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e shows on a real cluster what a user can see: one file for each
// thing, with clients that talk through real pods while something happens to
// them.
//
// It must not know how anything is done inside: it uses kubectl, the resources,
// what pods publish, and the record of hack/load's clients. The tests carry the
// build tag e2e and run in the network of a cluster in which the operator is
// installed; the script run beside them does all of that.
package e2e
