// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command controllers says what live connections cost kube-controller-manager: its CPU
// time and its memory with many of them and without any, side by side, with and
// without service-account credentials, and how long a namespace with connections takes
// to be deleted. README.md says how it is measured and how to read it; the script
// controllers beside it brings up the cluster and runs it in there.
package main
