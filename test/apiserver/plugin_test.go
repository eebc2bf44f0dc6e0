// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// plugin is what a user of kubectl ws sees.
func (c *cluster) plugin(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(c.dir, "kubectl-ws"), "../../cmd/kubectl-ws").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	c.kubectl("create", "namespace", "plugin")
	a, b := c.pod("plugin", "echo", "echo-a", false), c.pod("plugin", "chat", "chat-b", false)
	names := sorted(a.connect(150), b.connect(50))
	eventually(t, "all are listed", func() bool {
		out, _, _ := c.ws(t, "list", "-n", "plugin", "--no-headers", "--chunk-size=30")
		return strings.Count(out, "\n") == 200
	})

	t.Run("lists as kubectl get does", func(t *testing.T) {
		for _, flags := range [][]string{{"-n", "plugin"}, {"-n", "plugin", "-o", "wide"}, {"-n", "plugin", "--show-labels"}, {"-A", "-l", "wsproxy.io/proxy=chat"}, {"-n", "plugin", "-o", "name"}, {"-n", "plugin", names[7], names[9]}} {
			want := c.kubectl(append([]string{"get", "wsc"}, flags...)...)
			if got, errOut, err := c.ws(t, append([]string{"list"}, flags...)...); err != nil || errOut != "" || ageless(got) != ageless(want) {
				t.Errorf("%v: %v %s\n%.1000s\nkubectl get:\n%.1000s", flags, err, errOut, got, want)
			}
		}
	})
	t.Run("lists with rates", func(t *testing.T) {
		out, _, err := c.ws(t, "list", "-n", "plugin", "--rates", "--refresh=500ms", "-l", "wsproxy.io/proxy=chat")
		if lines := strings.Split(out, "\n"); err != nil || len(lines) != 52 || !slices.Equal(strings.Fields(lines[0]), strings.Fields("NAME PROXY CLIENT PATH PHASE MESSAGES MSG/S B/S AGE")) || !strings.Contains(lines[1], "1 / 12.3k") || !strings.Contains(lines[1], "0 / 0") {
			t.Errorf("%v\n%.1000s", err, out)
		}
		out, _, err = c.ws(t, "top", "-n", "plugin", "--refresh=500ms", "--sort-by=age")
		if lines := strings.Split(out, "\n"); err != nil || len(lines) != 22 || !slices.Equal(strings.Fields(lines[0]), strings.Fields("NAME PROXY CLIENT MSG/S B/S MESSAGES BYTES AGE")) || !strings.Contains(lines[1], "100B / 5.0Mi") {
			t.Errorf("%v\n%.1000s", err, out)
		}
	})
	t.Run("disconnects", func(t *testing.T) {
		out, errOut, err := c.ws(t, "disconnect", "-n", "plugin", "-l", "wsproxy.io/proxy=echo", "--dry-run=server")
		if err != nil || strings.Count(out, " disconnected (server dry run)\n") != 150 || len(a.ended()) > 0 {
			t.Errorf("%v: %d lines, %s", err, strings.Count(out, "\n"), errOut)
		}
		out, errOut, err = c.ws(t, "disconnect", "-n", "plugin", "-l", "wsproxy.io/proxy=echo", "--code=4001", "--reason=grüß dich", "--grace-period=7", "--chunk-size=40")
		if err != nil || strings.Count(out, " disconnected\n") != 150 || errOut != "150 of 150 connections disconnected\n" || len(a.ended()) != 150 || len(b.ended()) != 0 {
			t.Errorf("%v: %d lines, %d and %d have ended: %s", err, strings.Count(out, "\n"), len(a.ended()), len(b.ended()), errOut)
		}
		for _, name := range a.ended() {
			how, _ := a.connections[name].ended()
			if want := (registry.Disconnect{Code: 4001, Reason: "grüß dich", Grace: 7 * time.Second, User: how.User}); how != want {
				t.Fatalf("%s has ended with %+v, want %+v", name, how, want)
			}
		}
		// They are closing, and a connection can end while others are ended.
		_, errOut, err = c.ws(t, "disconnect", "-n", "plugin", "-l", "wsproxy.io/proxy=echo")
		if err != nil || errOut != "0 of 150 connections disconnected, 150 were closing already\n" {
			t.Errorf("again: %v %s", err, errOut)
		}
	})
	t.Run("sends", func(t *testing.T) {
		name := b.names()[3]
		if out, errOut, err := c.ws(t, "send", "-n", "plugin", name, "--text=hello"); err != nil || out != "websocketconnection.connections.wsproxy.io/"+name+" message sent\n" {
			t.Errorf("%v %s%s", err, out, errOut)
		}
		if _, errOut, err := c.ws(t, "send", "-n", "plugin", name, "--binary=AP8="); err != nil {
			t.Errorf("%v %s", err, errOut)
		}
		var got []string
		for _, message := range b.connections[name].messages() {
			got = append(got, string(message.Payload))
		}
		if want := []string{"hello", "\x00\xff"}; !slices.Equal(got, want) {
			t.Errorf("the client gets %q, want %q", got, want)
		}
	})
	t.Run("fails as kubectl does", func(t *testing.T) {
		name := b.names()[0]
		for _, test := range []struct {
			arguments []string
			like      []string
			want      string
		}{
			{arguments: []string{"list", "-n", "plugin", gone(name)}, like: []string{"get", "wsc", "-n", "plugin", gone(name)}},
			{arguments: []string{"list", "-n", "plugin", "--as=mallory"}, like: []string{"get", "wsc", "-n", "plugin", "--as=mallory"}},
			{arguments: []string{"list", "-n", "plugin", "-l", "a=b=c"}, like: []string{"get", "wsc", "-n", "plugin", "-l", "a=b=c"}},
			{arguments: []string{"list", "-n", "nowhere"}, like: []string{"get", "wsc", "-n", "nowhere"}},
			{arguments: []string{"disconnect", "-n", "plugin", name, "--code=1005"}, want: `The WebSocketDisconnect "` + name + `" is invalid: code: Invalid value: 1005: must be 1000-1003`},
			{arguments: []string{"disconnect", "-n", "plugin", "--all", "--code=1005"}, want: ` is invalid: code: Invalid value: 1005: must be 1000-1003`},
			{arguments: []string{"disconnect", "-n", "plugin", "chat"}, want: `The WebSocketConnection "chat" is invalid: metadata.name: Invalid value: "chat"`},
			{arguments: []string{"disconnect", "-n", "plugin", "--all", "--as=vera"}, want: "Error from server (Forbidden): "},
			{arguments: []string{"send", "-n", "plugin", a.names()[0], "--text=late"}, want: "Error from server (Conflict): "},
		} {
			out, errOut, err := c.ws(t, test.arguments...)
			if test.like != nil {
				kubectl, kubectlErr := c.try("", test.like...)
				// kubectl says of whom it lists nothing, too.
				if test.want = kubectl; (kubectlErr == nil) != (err == nil) || ended(kubectl) != ended(errOut) {
					t.Errorf("%v: %v %s%s\nkubectl %v: %v %s", test.arguments, err, out, errOut, test.like, kubectlErr, kubectl)
				}
				continue
			}
			if err == nil || !strings.Contains(errOut, test.want) || out != "" {
				t.Errorf("%v: %v %s%s\nwant %s", test.arguments, err, out, errOut, test.want)
			}
		}
		if len(b.ended()) > 0 {
			t.Errorf("ended %v", b.ended())
		}
	})
	t.Run("needs no right but the one for what it does", func(t *testing.T) {
		c.kubectl("create", "rolebinding", "messenger", "-n", "plugin", "--clusterrole=wsproxy-connections-messenger", "--user=moritz")
		eventually(t, "moritz may send", func() bool {
			_, _, err := c.ws(t, "send", "-n", "plugin", b.names()[1], "--text=hello", "--as=moritz")
			return err == nil
		})
		if _, errOut, err := c.ws(t, "list", "-n", "plugin", "--as=moritz"); err == nil || !strings.Contains(errOut, "Forbidden") {
			t.Errorf("and sees: %v %s", err, errOut)
		}
	})
	t.Run("rebalances", c.rebalances)
	t.Run("completes names", func(t *testing.T) {
		// This is what a shell asks kubectl for, and kubectl asks what is called kubectl_complete-ws.
		out, errOut, err := c.runWithPlugin(t, "__complete", "ws", "send", "-n", "plugin", b.names()[0][:10])
		if err != nil || strings.Count(out, b.names()[0][:10]) != 50 {
			t.Errorf("%v\n%.500s%.500s", err, out, errOut)
		}
	})
}

// ws runs the plugin as kubectl does.
func (c *cluster) ws(t *testing.T, arguments ...string) (out, errOut string, err error) {
	t.Helper()
	return c.runWithPlugin(t, append([]string{"ws"}, arguments...)...)
}

// runWithPlugin runs kubectl where it finds the plugin, and what completes its names.
func (c *cluster) runWithPlugin(t *testing.T, arguments ...string) (out, errOut string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	completing, err := filepath.Abs("../../hack/krew")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, filepath.Join(c.assets, "kubectl"), arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "PATH="+c.dir+":"+completing+":"+os.Getenv("PATH"))
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	return stdout.String(), stderr.String(), err
}

var age = regexp.MustCompile(` +[0-9]+[smh][0-9]*s? *`)

// ageless takes away what changes while one looks: the ages, and how wide they make the
// column.
func ageless(table string) string { return age.ReplaceAllString(table, " ") }

// ended is a text without the line end, of which there may be one or none.
func ended(text string) string { return strings.TrimSpace(text) }

// gone is a name that a connection of the same pod could have, and none has.
func gone(name string) string { return name[:len(name)-4] + "vvvv" }

// names returns those of all connections of the pod, sorted.
func (p *pod) names() []string {
	var names []string
	for name := range p.connections {
		names = append(names, name)
	}
	return sorted(names)
}
