// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestListPrintsTheTableOfTheServer(t *testing.T) {
	r := newRoom(t)
	r.connect(3)
	want := "NAME       PROXY   PHASE   MESSAGES   AGE\n" +
		"pod-0000   chat    Open    0          1h\npod-0001   chat    Open    0          1h\npod-0002   chat    Open    0          1h\n"
	for _, arguments := range [][]string{{"list"}, {"list", "--chunk-size=2"}, {"list", "--chunk-size=0"}, {"list", "pod-0000", "wsc/pod-0001", "websocketconnection.connections.wsproxy.io/pod-0002"}} {
		if got := r.must(arguments...); got != want {
			t.Errorf("%v:\n%s\nwant\n%s", arguments, got, want)
		}
	}
	for argument, want := range map[string]string{
		"-o=wide":       "NAME       PROXY   PHASE   MESSAGES   AGE   BYTES\n",
		"-A":            "NAMESPACE   NAME       PROXY   PHASE   MESSAGES   AGE\nshop        pod-0000   ",
		"--no-headers":  "pod-0000   chat",
		"--show-labels": "NAME       PROXY   PHASE   MESSAGES   AGE   LABELS\npod-0000   chat    Open    0          1h    wsproxy.io/proxy=chat\n",
	} {
		if got := r.must("list", argument); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n%s", argument, got)
		}
	}
}

func TestListAsksForWhatTheFlagsSay(t *testing.T) {
	const path = "/apis/connections.wsproxy.io/v1alpha1/"
	r := newRoom(t)
	r.connect(2)
	for _, test := range []struct {
		arguments string
		want      string
	}{
		{"list", "GET " + path + "namespaces/shop/websocketconnections?includeObject=Object&limit=500"},
		{"list -n other", "GET " + path + "namespaces/other/websocketconnections?includeObject=Object&limit=500"},
		{"list -A --chunk-size=0", "GET " + path + "websocketconnections?includeObject=Object"},
		{"list -l wsproxy.io/proxy=chat", "GET " + path + "namespaces/shop/websocketconnections?includeObject=Object&labelSelector=wsproxy.io%2Fproxy%3Dchat&limit=500"},
		{"list --field-selector spec.sourceIP=192.0.2.1", "GET " + path + "namespaces/shop/websocketconnections?fieldSelector=spec.sourceIP%3D192.0.2.1&includeObject=Object&limit=500"},
		{"list pod-0001 -o yaml", "GET " + path + "namespaces/shop/websocketconnections/pod-0001"},
	} {
		r.asked = nil
		r.must(strings.Fields(test.arguments)...)
		// There is no discovery: whoever may do nothing else may do this.
		if !slices.Equal(r.asked, []string{test.want}) {
			t.Errorf("%s asks for\n%s\nwant\n%s", test.arguments, strings.Join(r.asked, "\n"), test.want)
		}
	}
}

func TestListPrintsWhatTheServerSaysInOtherFormats(t *testing.T) {
	r := newRoom(t)
	r.connect(3)
	if got, want := r.must("list", "-o", "name", "--chunk-size=2"), "websocketconnection.connections.wsproxy.io/pod-0000\nwebsocketconnection.connections.wsproxy.io/pod-0001\nwebsocketconnection.connections.wsproxy.io/pod-0002\n"; got != want {
		t.Errorf("%s", got)
	}
	var list struct {
		Kind  string
		Items []struct{ Metadata struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(r.must("list", "-o", "json", "--chunk-size=2")), &list); err != nil || list.Kind != "WebSocketConnectionList" || len(list.Items) != 3 || list.Items[2].Metadata.Name != "pod-0002" {
		t.Errorf("%v: %+v", err, list)
	}
	if got := r.must("list", "pod-0001", "pod-0002", "-o", "jsonpath={.items[*].metadata.name}"); got != "pod-0001 pod-0002" {
		t.Errorf("%s", got)
	}
	if got := r.must("list", "pod-0001", "-o", "yaml"); !strings.HasPrefix(got, "apiVersion: connections.wsproxy.io/v1alpha1\nkind: WebSocketConnection\n") {
		t.Errorf("%s", got)
	}
	// Of several those are printed that there are.
	code, out, errOut := r.run("list", "pod-0001", "nobody", "pod-0002", "-o", "name")
	if want := "Error from server (NotFound): websocketconnections.connections.wsproxy.io \"nobody\" not found\n"; code != 1 || errOut != want ||
		out != "websocketconnection.connections.wsproxy.io/pod-0001\nwebsocketconnection.connections.wsproxy.io/pod-0002\n" {
		t.Errorf("%d\n%s\n%s", code, out, errOut)
	}
	code, out, errOut = r.run("list", "nobody", "no-one", "-o", "jsonpath={.items}")
	if code != 1 || out != "[]" || strings.Count(errOut, "NotFound") != 2 {
		t.Errorf("%d\n%s\n%s", code, out, errOut)
	}
	// A field of a later server.
	r.objects["/apis/connections.wsproxy.io/v1alpha1/namespaces/shop/websocketconnections/later"] = map[string]any{
		"apiVersion": "connections.wsproxy.io/v1alpha1", "kind": "WebSocketConnection", "metadata": map[string]any{"name": "later"}, "status": map[string]any{"novelty": 7},
	}
	if got := r.must("list", "later", "-o", "jsonpath={.status.novelty}"); got != "7" {
		t.Errorf("a field that this program does not know is %q", got)
	}
}

func TestListFailsAsKubectlDoes(t *testing.T) {
	r := newRoom(t)
	for _, test := range []struct {
		arguments string
		want      string
	}{
		{"list nobody", `Error from server (NotFound): websocketconnections.connections.wsproxy.io "nobody" not found`},
		{"list nobody -o json", `Error from server (NotFound): websocketconnections.connections.wsproxy.io "nobody" not found`},
		{"list x -l a=b", "error: name cannot be provided when a selector is specified"},
		{"list x -A", "error: a resource cannot be retrieved by name across all namespaces"},
		{"list --nonsense", "error: unknown flag: --nonsense\nSee 'kubectl ws list --help' for usage"},
		{"list -o nonsense", `error: unable to match a printer suitable for the output format "nonsense", allowed formats are: go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml`},
		{"list -o custom-columns=NAME:.metadata.name", "error: custom columns are printed by kubectl get wsc -o custom-columns=…; here -o jsonpath=… chooses fields"},
		{"list -w -o json", "error: --watch and --rates are for tables: use kubectl get wsc --watch for other formats"},
		{"list -w --refresh 1ms", "error: --refresh must be at least 500ms"},
		{"list --context nonsense", "Error in configuration: context was not found for specified context: nonsense"},
		{"nonsense", `error: unknown command "nonsense" for "kubectl ws"`},
		{"send", "error: exactly one NAME is required, got 0\nSee 'kubectl ws send --help' for usage"},
		{"settings nobody", `error: the server doesn't have a resource type "websocketproxies"`},
	} {
		r.fails(test.want, strings.Fields(test.arguments)...)
	}
	if code, out, errOut := r.run("list"); code != 0 || out != "" || errOut != "No resources found in shop namespace.\n" {
		t.Errorf("of nothing: %d %q %q", code, out, errOut)
	}
	if code, out, errOut := r.run("list", "-A"); code != 0 || out != "" || errOut != "No resources found\n" {
		t.Errorf("of nothing: %d %q %q", code, out, errOut)
	}
	r.refuse = func(*http.Request) *apierrors.StatusError { return apierrors.NewForbidden(connections, "", errNo) }
	r.fails("Error from server (Forbidden): websocketconnections.connections.wsproxy.io is forbidden: no", "list")
	r.refuse = func(*http.Request) *apierrors.StatusError { return apierrors.NewUnauthorized("Unauthorized") }
	r.fails("error: You must be logged in to the server (Unauthorized)", "list")
	r.at("http://127.0.0.1:1")
	r.fails("The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?", "list")
}

func TestListPrintsThoseOfSeveralThatAreThere(t *testing.T) {
	r := newRoom(t)
	r.connect(2)
	notFound := "Error from server (NotFound): websocketconnections.connections.wsproxy.io \"nobody\" not found\n"
	for _, flags := range [][]string{nil, {"--rates", "--refresh=500ms"}} {
		code, out, errOut := r.run(append([]string{"list", "pod-0000", "nobody", "pod-0001"}, flags...)...)
		if code != 1 || strings.Count(out, "\n") != 3 || errOut != notFound {
			t.Errorf("%v: %d\n%s%s", flags, code, out, errOut)
		}
	}
	if code, out, errOut := r.run("list", "nobody", "nobody"); code != 1 || out != "" || errOut != notFound+notFound {
		t.Errorf("of none: %d\n%s%s", code, out, errOut)
	}
}

func TestListSaysWhatIsMissing(t *testing.T) {
	r := newRoom(t)
	r.connect(3)
	r.silent = "shop/chat-1"
	code, out, errOut := r.run("list", "--chunk-size=1")
	if code != 0 || strings.Count(out, "\n") != 4 || errOut != "Warning: no answer from shop/chat-1\n" {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
}

func TestAWatchOfARefreshedTableHasRatesAndNoEscapes(t *testing.T) {
	r := newRoom(t)
	r.connect(2)
	clock := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	r.now = func() time.Time { clock = clock.Add(time.Second); return clock }
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	looks := 0
	r.refuse = func(*http.Request) *apierrors.StatusError {
		switch looks++; looks {
		case 2:
			// 20 messages in the two seconds between the first look and this one.
			r.connections[1].Status.FromClient.Messages, r.connections[1].Status.FromClient.Bytes = 20, 4096
		case 3:
			return apierrors.NewInternalError(errNo)
		case 4:
			interrupt()
		}
		return nil
	}
	code, out, errOut := r.runIn(ctx, "list", "-w", "--refresh=500ms")
	want := `12:00:02  2 connections
NAME       PROXY   PHASE   MESSAGES   MSG/S   B/S   AGE
pod-0000   chat    Open    0          -       -     1h
pod-0001   chat    Open    0          -       -     1h

12:00:04  2 connections  10.0 msg/s  2.0Ki/s
NAME       PROXY   PHASE   MESSAGES   MSG/S      B/S          AGE
pod-0000   chat    Open    0          0 / 0      0B / 0B      1h
pod-0001   chat    Open    20         10.0 / 0   2.0Ki / 0B   1h
`
	if code != 0 || out != want || errOut != "Error from server (InternalError): Internal error occurred: no\n" {
		t.Errorf("exit code %d\n%s\nwant\n%s\n%s", code, out, want, errOut)
	}
}

func TestAWatchEndsWhereItCannotGoOn(t *testing.T) {
	r := newRoom(t)
	r.connect(1)
	looks := 0
	r.refuse = func(*http.Request) *apierrors.StatusError {
		if looks++; looks == 2 {
			r.connections = nil
		}
		return nil
	}
	code, out, errOut := r.run("list", "-w", "--refresh=500ms", "pod-0000")
	if code != 1 || strings.Count(out, "pod-0000") != 1 || !strings.Contains(errOut, "(NotFound)") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
}

func TestTopSortsAndCuts(t *testing.T) {
	r := newRoom(t)
	r.connect(5)
	clock := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	r.now = func() time.Time { return clock }
	r.traffic(1, 1000, 10)
	r.traffic(2, 10, 100_000)
	looks := 0
	r.refuse = func(*http.Request) *apierrors.StatusError {
		// Pages of two: the fourth request is the first of the second look.
		if looks++; looks == 4 {
			clock = clock.Add(2 * time.Second)
			for i, n := range []int64{0, 0, 0, 50, 4} {
				r.connections[i].Status.FromClient.Messages += n
				r.connections[i].Status.FromClient.Bytes += 100 / max(n, 1)
			}
		}
		return nil
	}
	for by, want := range map[string][]string{
		"":             {"pod-0003", "pod-0004"},
		"message-rate": {"pod-0003", "pod-0004"},
		"byte-rate":    {"pod-0000", "pod-0001"},
		"messages":     {"pod-0001", "pod-0003"},
		"bytes":        {"pod-0002", "pod-0001"},
		"age":          {"pod-0004", "pod-0003"},
	} {
		looks = 0
		arguments := []string{"top", "--limit=2", "--refresh=500ms", "--chunk-size=2", "--no-headers"}
		if by != "" {
			arguments = append(arguments, "--sort-by="+by)
		}
		var got []string
		for line := range strings.Lines(r.must(arguments...)) {
			got = append(got, strings.Fields(line)[0])
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %q: %v, want %v", by, got, want)
		}
		r.connections = nil
		r.connect(5)
		r.traffic(1, 1000, 10)
		r.traffic(2, 10, 100_000)
	}
	r.refuse = nil
	if got := strings.Fields(strings.SplitAfter(r.must("top", "--refresh=500ms"), "\n")[0]); !slices.Equal(got, []string{"NAME", "PROXY", "MSG/S", "B/S", "MESSAGES", "BYTES", "AGE"}) {
		t.Errorf("%v", got)
	}
	if got := strings.Fields(strings.SplitAfter(r.must("top", "--refresh=500ms", "-o=wide"), "\n")[0]); !slices.Equal(got, []string{"NAME", "PROXY", "MSG/S", "B/S", "MESSAGES", "BYTES", "AGE", "PHASE"}) {
		t.Errorf("%v", got)
	}
	r.fails("error: --sort-by must be one of: age, byte-rate, bytes, message-rate, messages", "top", "--sort-by=name")
	r.fails("error: --limit must not be negative", "top", "--limit=-1")
	r.fails("error: top prints tables only: -o wide, or none", "top", "-o", "json")
}

func TestNamesAreCompleted(t *testing.T) {
	r := newRoom(t)
	r.connect(30)
	for _, command := range []string{"list", "disconnect", "send"} {
		// The last argument is what is begun.
		code, out, errOut := r.complete(command, "pod-0007", "pod-000")
		names := strings.Fields(out)
		if code != 0 || len(names) != 10 || names[7] != "pod-0008" || names[9] != ":4" {
			t.Errorf("%s: %d %q %s", command, code, names, errOut)
		}
	}
}
