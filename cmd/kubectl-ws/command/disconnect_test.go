// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

const post = "POST /apis/connections.wsproxy.io/v1alpha1/namespaces/shop/websocketconnections/"

func TestDisconnectSaysNoMoreThanItWasTold(t *testing.T) {
	r := newRoom(t)
	r.connect(1)
	for _, test := range []struct {
		arguments []string
		want      map[string]any
	}{
		{nil, map[string]any{}},
		{[]string{"--code=4001", "--reason=", "--grace-period=0"}, map[string]any{"code": 4001.0, "reason": "", "gracePeriodSeconds": 0.0}},
	} {
		r.asked, r.bodies = nil, nil
		if got := r.must(append([]string{"disconnect", "pod-0000"}, test.arguments...)...); got != "websocketconnection.connections.wsproxy.io/pod-0000 disconnected\n" {
			t.Errorf("%s", got)
		}
		var body map[string]any
		if err := json.Unmarshal([]byte(strings.Join(r.bodies, "")), &body); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"code", "reason", "gracePeriodSeconds"} {
			if body[key] != test.want[key] {
				t.Errorf("%v: %s is %v, want %v", test.arguments, key, body[key], test.want[key])
			}
		}
		if body["kind"] != "WebSocketDisconnect" || !slices.Equal(r.asked, []string{post + "pod-0000/disconnect"}) {
			t.Errorf("%v: %v", r.asked, body)
		}
	}
}

func TestDisconnectEndsWhatASelectorSelects(t *testing.T) {
	r := newRoom(t)
	r.connect(30)
	code, out, errOut := r.run("disconnect", "-l", "wsproxy.io/proxy=chat", "--chunk-size=7", "-o", "name")
	if code != 0 || errOut != "30 of 30 connections disconnected\n" || strings.Count(out, "\n") != 30 || !strings.Contains(out, "websocketconnection.connections.wsproxy.io/pod-0029\n") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
	ended := slices.DeleteFunc(slices.Clone(r.asked), func(asked string) bool { return !strings.HasPrefix(asked, post) })
	slices.Sort(ended)
	if len(slices.Compact(ended)) != 30 {
		t.Errorf("%d connections are ended", len(ended))
	}
}

func TestADryRunEndsNothing(t *testing.T) {
	r := newRoom(t)
	r.connect(2)
	for strategy, want := range map[string]string{"server": " disconnected (server dry run)", "client": " disconnected (dry run)"} {
		r.asked = nil
		code, out, errOut := r.run("disconnect", "--all", "--dry-run="+strategy)
		if code != 0 || strings.Count(out, want+"\n") != 2 || errOut != "2 of 2 connections"+want+"\n" {
			t.Errorf("%d\n%s%s", code, out, errOut)
		}
		for _, asked := range r.asked {
			if strings.HasPrefix(asked, "POST") && !strings.HasSuffix(asked, "?dryRun=All") || strategy == "client" && strings.HasPrefix(asked, "POST") {
				t.Errorf("a dry run by the %s asks for %s", strategy, asked)
			}
		}
	}
}

func TestDisconnectWaitsWhereTheServerAsksForIt(t *testing.T) {
	r := newRoom(t)
	r.connect(1)
	r.refuse = func(*http.Request) *apierrors.StatusError {
		r.refuse = nil
		return apierrors.NewTooManyRequests("slowly", 1)
	}
	begin := time.Now()
	r.must("disconnect", "pod-0000")
	if took := time.Since(begin); took < time.Second || len(r.asked) != 2 {
		t.Errorf("asked %d times in %v", len(r.asked), took)
	}
}

func TestDisconnectFailsWhereItMissesConnections(t *testing.T) {
	r := newRoom(t)
	r.connect(2)
	// Every page says so.
	r.silent = "shop/chat-1,shop/chat-2"
	code, out, errOut := r.run("disconnect", "--all", "--chunk-size=1")
	if code != 1 || strings.Count(out, "\n") != 2 || !strings.HasSuffix(errOut, "2 of 2 connections disconnected\nerror: 2 data-plane pods did not answer, so their connections are not among these: shop/chat-1, shop/chat-2\n") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
}

func TestDisconnectFailsWhereItCannotPrint(t *testing.T) {
	r := newRoom(t)
	r.connect(1)
	code, out, errOut := r.run("disconnect", "pod-0000", "-o", "jsonpath={.nothing}", "--allow-missing-template-keys=false")
	if code != 1 || out != "" || !strings.Contains(errOut, "error: ") || !strings.Contains(errOut, "nothing is not found") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
}

func TestDisconnectFailsAsKubectlDoes(t *testing.T) {
	r := newRoom(t)
	r.connect(2)
	for _, test := range []struct{ arguments, want string }{
		{"disconnect", "error: no connection was specified: name some, or choose them by --selector, --field-selector or --all"},
		{"disconnect x --all", "error: names and selectors cannot be used together with --all"},
		{"disconnect -l a=b --all", "error: names and selectors cannot be used together with --all"},
		{"disconnect x --dry-run", `error: --dry-run flag without a value was specified. A value must be set: "none", "server", or "client"`},
		{"disconnect x --dry-run=perhaps", `error: invalid dry-run value (perhaps). Must be "none", "server", or "client"`},
		{"disconnect nobody", `Error from server (NotFound): websocketconnections.connections.wsproxy.io "nobody" not found`},
		{"disconnect nobody --dry-run=client", `Error from server (NotFound): websocketconnections.connections.wsproxy.io "nobody" not found`},
	} {
		r.fails(test.want, strings.Fields(test.arguments)...)
	}
	code, out, errOut := r.run("disconnect", "pod-0000", "nobody")
	if code != 1 || out != "websocketconnection.connections.wsproxy.io/pod-0000 disconnected\n" || !strings.HasSuffix(errOut, "\"nobody\" not found\n1 of 2 connections disconnected, 1 failed\n") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
	r.connections = nil
	if code, out, errOut := r.run("disconnect", "--all"); code != 0 || out != "" || errOut != "No resources found in shop namespace.\n" {
		t.Errorf("of nothing: %d %q %q", code, out, errOut)
	}
}

func TestATerminalShowsHowFarItHasCome(t *testing.T) {
	var errOut bytes.Buffer
	r := newReport(genericiooptions.IOStreams{Out: &errOut, ErrOut: &errOut}, &printers.NamePrinter{Operation: "disconnected"}, 3)
	if r.terminal {
		t.Fatal("a buffer is taken for a terminal")
	}
	r.terminal = true
	r.hasGone()
	r.waits(2 * time.Second)
	r.failure(errNo)
	r.end()
	const erase = "\r\x1b[K"
	want := erase + erase + "1 of 3" + erase + "1 of 3, the server asks to wait for 2s" + erase + "error: no\n" + erase + "2 of 3" + erase
	if errOut.String() != want {
		t.Errorf("%q, want %q", errOut.String(), want)
	}
}

func TestSendSendsEachKindOfMessage(t *testing.T) {
	r := newRoom(t)
	r.connect(1)
	file := r.TempDir() + "/message"
	write(t, file, "from a file\n")
	for _, test := range []struct {
		arguments []string
		input     string
		want      connectionsv1alpha1.WebSocketSend
	}{
		{[]string{"--text=grüß dich"}, "", connectionsv1alpha1.WebSocketSend{Type: "Text", Text: new("grüß dich")}},
		{[]string{"--text="}, "", connectionsv1alpha1.WebSocketSend{Type: "Text", Text: new("")}},
		{[]string{"--binary=AP8="}, "", connectionsv1alpha1.WebSocketSend{Type: "Binary", Data: []byte{0, 255}}},
		{[]string{"--file=-"}, "typed\n", connectionsv1alpha1.WebSocketSend{Type: "Text", Data: []byte("typed\n")}},
		{[]string{"--file=-", "--type=binary"}, "\x00", connectionsv1alpha1.WebSocketSend{Type: "Binary", Data: []byte{0}}},
		{[]string{"--file=" + file}, "", connectionsv1alpha1.WebSocketSend{Type: "Text", Data: []byte("from a file\n")}},
	} {
		r.asked, r.bodies, r.input = nil, nil, test.input
		if got := r.must(append([]string{"send", "pod-0000"}, test.arguments...)...); got != "websocketconnection.connections.wsproxy.io/pod-0000 message sent\n" {
			t.Errorf("%s", got)
		}
		var sent connectionsv1alpha1.WebSocketSend
		if err := json.Unmarshal([]byte(strings.Join(r.bodies, "")), &sent); err != nil {
			t.Fatal(err)
		}
		text := func(s *string) string {
			if s == nil {
				return "absent"
			}
			return *s
		}
		if sent.Type != test.want.Type || text(sent.Text) != text(test.want.Text) || !bytes.Equal(sent.Data, test.want.Data) || !slices.Equal(r.asked, []string{post + "pod-0000/send"}) {
			t.Errorf("%v sends %s %+v, want %+v", test.arguments, r.asked, sent, test.want)
		}
	}
}

func TestSendChecksBeforeItSends(t *testing.T) {
	r := newRoom(t)
	r.connect(1)
	for _, test := range []struct{ arguments, want string }{
		{"send pod-0000", "error: at least one of the flags in the group [text binary file] is required"},
		{"send pod-0000 --text a --binary YQ==", "error: if any flags in the group [text binary file] are set none of the others can be; [binary text] were all set"},
		{"send pod-0000 --text a --type Binary", "error: if any flags in the group [text type] are set none of the others can be; [text type] were all set"},
		{"send pod-0000 --binary %", "error: --binary: illegal base64 data at input byte 0"},
		{"send pod-0000 --file - --type ping", "error: --type must be Text or Binary"},
		{"send pod-0000 --file /nowhere", "error: open /nowhere: no such file or directory"},
		{"send pod-0000 --text a -o yaml", "error: unexpected -o output mode: yaml. We only support '-o name'"},
		{"send pod-0000 --text a --dry-run=perhaps", `error: invalid dry-run value (perhaps). Must be "none", "server", or "client"`},
	} {
		r.fails(test.want, strings.Fields(test.arguments)...)
	}
	r.input = strings.Repeat("x", connectionsv1alpha1.MaxMessageBytes+1)
	r.fails("error: --file -: a message has at most 131072 bytes", "send", "pod-0000", "--file=-")
	r.input = r.input[1:]
	if got := r.must("send", "pod-0000", "--file=-", "--dry-run=client"); got != "websocketconnection.connections.wsproxy.io/pod-0000 message sent (dry run)\n" || len(r.asked) != 0 {
		t.Errorf("%s%v", got, r.asked)
	}
	if got := r.must("send", "wsc/pod-0000", "--file=-", "--dry-run=server", "-o=name"); got != "websocketconnection.connections.wsproxy.io/pod-0000\n" || !slices.Equal(r.asked, []string{post + "pod-0000/send?dryRun=All"}) {
		t.Errorf("%s%v", got, r.asked)
	}
}
