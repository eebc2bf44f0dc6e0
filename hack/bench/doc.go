// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench puts proxies side by side and says what each costs: CPU per
// message, per GiB and per connection, and memory per connection. README.md says
// how it is measured and how to read it; hack/bench/bench builds and runs it.
package main
