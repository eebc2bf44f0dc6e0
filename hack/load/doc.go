// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command load is clients that talk to an echo, directly or through a proxy, and
// keep their own record of it:
//
//	load --url ws://10.96.12.7/ --connections 1000 --rate 2 --duration 60s --report load.json
//
// Each client sends numbered messages and checks that they come back whole, in
// order and once. A line each second says how it goes. At the end (of
// --duration, on SIGINT or SIGTERM, or when no client is left) the clients stop
// sending, wait for the echoes that are outstanding, and close with code 1000.
// Package fleet has the clients; this command has flags and words.
package main
