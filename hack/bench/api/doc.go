// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command api measures the aggregated API against a fleet of any size: data-plane
// pods whose registries are filled without sockets, behind real control servers, and
// one that has real clients. The apiserver, kube-apiserver and etcd are the real
// programs. README.md says how it is measured and how to read it; the script api
// beside it builds what it needs and runs it.
package main
