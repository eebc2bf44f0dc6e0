// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command echo is the backend of the demo and of the tests: a WebSocket server
// that answers each message with itself.
//
// It is an example of a backend that is polite to those who hold its clients: on
// SIGTERM it takes no new connections, answers what has arrived, and ends every
// connection with code 1001, so that a proxy with autoReconnect moves the client
// to the next backend and no message is left without its answer.
//
// It must not know anything about wsproxy: whatever it needs to say, it says in
// WebSocket.
package main
