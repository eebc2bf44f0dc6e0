// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// rebalances is what an administrator does after a scale-out.
func (c *cluster) rebalances(t *testing.T) {
	c.kubectl("create", "namespace", "balance")
	c.kubectl("apply", "--server-side", "-f", "../../config/crd/bases/wsproxy.io_websocketproxies.yaml")
	c.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/websocketproxies.wsproxy.io")
	manifest := c.file("chat.yaml", []byte("apiVersion: wsproxy.io/v1alpha1\nkind: WebSocketProxy\nmetadata: {name: chat}\nspec: {upstream: {url: ws://chat.example.com}}\n"))
	eventually(t, "proxies can be made", func() bool {
		_, err := c.try("", "apply", "-n", "balance", "-f", manifest)
		return err == nil
	})
	c.kubectl("patch", "wsp", "chat", "-n", "balance", "--subresource=status", "--type=merge", "-p", `{"status":{"readyReplicas":2}}`)
	full, other := c.pod("balance", "chat", "chat-a", false), c.pod("balance", "news", "news-a", false)
	names := full.connect(40)
	other.connect(10)
	// The rights are those of who may disconnect, and to read the proxy.
	c.kubectl("create", "rolebinding", "rita-ends", "-n", "balance", "--clusterrole=wsproxy-connections-operator", "--user=rita")
	c.kubectl("create", "role", "proxies", "-n", "balance", "--verb=get", "--resource=websocketproxies.wsproxy.io")
	c.kubectl("create", "rolebinding", "rita-reads", "-n", "balance", "--role=proxies", "--user=rita")
	var out, errOut string
	eventually(t, "a dry run finds all", func() (ok bool) {
		var err error
		out, errOut, err = c.ws(t, "rebalance", "chat", "-n", "balance", "--as=rita", "--dry-run=client")
		return err == nil && strings.HasSuffix(errOut, " of 40 connections closed (dry run)\n")
	})
	want := `POD                             NOW   CLOSE   EXPECTED
chat-a                          40    36      22
(1 without connections, each)   0     0       18
`
	if out != want || errOut != "36 of 40 connections closed (dry run)\n" {
		t.Errorf("%s%s\nwant\n%s", out, errOut, want)
	}
	if out, errOut, err := c.ws(t, "rebalance", "chat", "-n", "balance", "--as=rita", "--dry-run=server"); err != nil || out != want || errOut != "36 of 36 connections closed (server dry run)\n" || len(full.ended()) > 0 {
		t.Errorf("%v\n%s%s%d have ended", err, out, errOut, len(full.ended()))
	}
	begin := time.Now()
	out, errOut, err := c.ws(t, "rebalance", "chat", "-n", "balance", "--as=rita", "--rate=100/s")
	if err != nil || out != want || errOut != "36 of 36 connections closed\n" {
		t.Errorf("%v\n%s%s", err, out, errOut)
	}
	if took := time.Since(begin); took < 350*time.Millisecond {
		t.Errorf("36 at 100 a second took %v", took)
	}
	// All were active last when they were opened.
	if ended := sorted(full.ended()); !slices.Equal(ended, sorted(names[:36])) || len(other.ended()) > 0 {
		t.Errorf("ended are %v, and %v of another proxy", ended, other.ended())
	}
	for _, name := range full.ended() {
		how, _ := full.connections[name].ended()
		if want := (registry.Disconnect{Code: 1012, Reason: "rebalance", Grace: how.Grace, User: "rita"}); how != want {
			t.Fatalf("%s has ended with %+v, want %+v", name, how, want)
		}
	}
	// Those that close are not counted any more.
	if out, errOut, err := c.ws(t, "rebalance", "chat", "-n", "balance", "--as=rita", "--tolerance=100%"); err != nil || errOut != "0 of 4 connections closed\n" {
		t.Errorf("again: %v\n%s%s", err, out, errOut)
	}
	if _, errOut, err := c.ws(t, "rebalance", "chat", "-n", "balance", "--as=vera"); err == nil || !strings.Contains(errOut, "Forbidden") {
		t.Errorf("by somebody else: %v %s", err, errOut)
	}
	if _, errOut, err := c.ws(t, "rebalance", "nobody", "-n", "balance"); err == nil || !strings.Contains(errOut, `Error from server (NotFound): websocketproxies.wsproxy.io "nobody" not found`) {
		t.Errorf("of a proxy that is not there: %v %s", err, errOut)
	}
	if out, errOut, err := c.runWithPlugin(t, "__complete", "ws", "rebalance", "-n", "balance", "c"); err != nil || !strings.HasPrefix(out, "chat\n") {
		t.Errorf("completion: %v\n%s%s", err, out, errOut)
	}
}
