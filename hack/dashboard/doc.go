// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command dashboard draws the dashboard of the chart from a Prometheus, as a page for
// a browser, and says which of its panels have no data:
//
//	dashboard --prometheus http://127.0.0.1:9090 --range 15m > page.html
//	chromium --headless --screenshot=page.png --window-size=1400,2600 page.html
//
// It is no Grafana: it knows the kinds of panels that this dashboard has, and draws
// them plainly. What is asked of Prometheus is what Grafana would ask.
package main
