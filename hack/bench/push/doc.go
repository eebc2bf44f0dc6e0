// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command push changes the settings of a proxy again and again, under connections
// that talk, and says how long it takes from `kubectl apply` until the last pod has
// acknowledged, and whether anybody noticed. README.md says how it is measured and how
// to read it; the script push beside it brings up the cluster and runs it in there.
package main
