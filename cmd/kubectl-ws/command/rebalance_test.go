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
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// spread makes a room with a proxy that has so many ready pods, of which the first
// ones have connections. The later one was opened, the longer it has been idle.
func spread(t *testing.T, ready int32, connections ...int) *room {
	t.Helper()
	r, all := newRoom(t), 0
	for _, n := range connections {
		all += n
	}
	r.connect(all)
	i := 0
	for pod, n := range connections {
		for range n {
			c := &r.connections[i]
			c.Spec.Pod = "chat-" + string(rune('a'+pod))
			c.Status.Phase = connectionsv1alpha1.ConnectionOpen
			c.Status.LastActiveAt = metav1.NewMicroTime(time.Date(2026, 1, 1, 0, all-i, 0, 0, time.UTC))
			i++
		}
	}
	proxy := chat()
	proxy.Status.ReadyReplicas = ready
	r.objects[chatPath] = proxy
	return r
}

// ended are the names of those that were asked to end, in order.
func (r *room) ended() []string {
	var names []string
	for _, asked := range r.asked {
		if name, ok := strings.CutPrefix(asked, post); ok {
			names = append(names, strings.TrimSuffix(name, "/disconnect"))
		}
	}
	return names
}

func TestNoPodIsExpectedToHaveMoreThanItsShareAfterwards(t *testing.T) {
	for _, test := range []struct {
		what      string
		ready     int
		now       []int
		tolerance float64
		closes    []int
	}{
		{"nothing", 2, nil, 0.1, nil},
		{"equal", 2, []int{50, 50}, 0, []int{0, 0}},
		{"as equal as can be", 2, []int{51, 50}, 0, []int{0, 0}},
		{"within the tolerance", 2, []int{55, 45}, 0.1, []int{0, 0}},
		// 9 of these 18 come back, and 46 + 9 are the mean and a tenth.
		{"beyond", 2, []int{64, 36}, 0.1, []int{18, 0}},
		{"a pod that is new", 2, []int{100}, 0.1, []int{90}},
		{"a pod that is new, exactly", 2, []int{100}, 0, []int{100}},
		{"a pod that is new, of ten", 10, []int{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000}, 0.1, []int{100, 100, 100, 100, 100, 100, 100, 100, 100}},
		{"one that has nearly all", 4, []int{970, 10, 10, 10}, 0.1, []int{927, 0, 0, 0}},
		{"only a little is asked for", 2, []int{100}, 1, []int{0}},
		{"one pod", 1, []int{100}, 0, []int{0}},
		{"few", 3, []int{2, 1}, 0.1, []int{0, 0}},
	} {
		b := &balance{ready: test.ready, shares: map[string]*share{}}
		for i, n := range test.now {
			b.shares[string(rune('a'+i))] = &share{now: n, open: make([]candidate, n)}
			b.total += n
		}
		b.plan(test.tolerance)
		var closes []int
		for i := range test.now {
			closes = append(closes, b.shares[string(rune('a'+i))].closes)
		}
		if !slices.Equal(closes, test.closes) {
			t.Errorf("%s: %v of %v on %d pods are closed, want %v", test.what, closes, test.now, test.ready, test.closes)
		}
	}
}

func TestRebalanceEndsTheIdleOnesOfTheFullPods(t *testing.T) {
	r := spread(t, 3, 6, 2)
	// These end anyway, or cannot be asked to come back yet.
	r.connections[5].Status.Phase = connectionsv1alpha1.ConnectionClosing
	r.connections[4].Status.Phase = connectionsv1alpha1.ConnectionConnecting
	code, out, errOut := r.run("rebalance", "chat", "--rate=1000", "--tolerance=0%")
	want := `POD                             NOW   CLOSE   EXPECTED
chat-a                          5     3       3
chat-b                          2     0       3
(1 without connections, each)   0     0       1
`
	if code != 0 || out != want || errOut != "3 of 3 connections closed\n" {
		t.Errorf("%d\n%s%s\nwant\n%s", code, out, errOut, want)
	}
	if got := r.ended(); len(got) != 3 || !slices.Equal(slices.Sorted(slices.Values(got)), []string{"pod-0001", "pod-0002", "pod-0003"}) {
		t.Errorf("ended are %v", got)
	}
	for _, body := range r.bodies {
		var wish connectionsv1alpha1.WebSocketDisconnect
		if err := json.Unmarshal([]byte(body), &wish); err != nil || *wish.Code != 1012 || *wish.Reason != "rebalance" || wish.GracePeriodSeconds != nil {
			t.Errorf("%v: it asks for %s", err, body)
		}
	}
	for _, asked := range r.asked {
		if strings.HasPrefix(asked, "GET") && strings.Contains(asked, "websocketconnections") && !strings.Contains(asked, "labelSelector=wsproxy.io%2Fproxy%3Dchat&limit=500") {
			t.Errorf("it asks for %s", asked)
		}
	}
}

func TestADryRunOfRebalanceMovesNobody(t *testing.T) {
	r := spread(t, 2, 10)
	for strategy, want := range map[string]string{"server": "8 of 8 connections closed (server dry run)\n", "client": "8 of 10 connections closed (dry run)\n"} {
		r.asked = nil
		code, out, errOut := r.run("rebalance", "chat", "--dry-run="+strategy)
		if code != 0 || errOut != want || !strings.Contains(out, "chat-a                          10    8       6\n") {
			t.Errorf("%d\n%s%s", code, out, errOut)
		}
		for _, name := range r.ended() {
			if !strings.HasSuffix(name, "?dryRun=All") || strategy == "client" {
				t.Errorf("a dry run by the %s asks for %s", strategy, name)
			}
		}
	}
}

func TestRebalanceLeavesAloneWhatIsBalanced(t *testing.T) {
	r := spread(t, 2, 11, 9)
	code, out, errOut := r.run("rebalance", "chat")
	if want := "POD      NOW   CLOSE   EXPECTED\nchat-a   11    0       11\nchat-b   9     0       9\n"; code != 0 || out != want || errOut != "0 of 20 connections closed\n" || len(r.ended()) > 0 {
		t.Errorf("%d\n%s%s%v", code, out, errOut, r.ended())
	}
	r.connections = nil
	if code, out, errOut := r.run("rebalance", "chat"); code != 0 || errOut != "0 of 0 connections closed\n" {
		t.Errorf("of nothing: %d\n%s%s", code, out, errOut)
	}
}

func TestRebalanceSaysWhyItCannotTell(t *testing.T) {
	r := spread(t, 1, 5, 3)
	proxy := r.objects[chatPath].(*wsproxyv1alpha1.WebSocketProxy)
	for _, test := range []struct{ arguments, want string }{
		{"rebalance", "error: exactly one PROXY is required, got 0\nSee 'kubectl ws rebalance --help' for usage"},
		{"rebalance chat --rate 0", `error: --rate must be a number of connections a second above 0, such as 20/s, not "0"`},
		{"rebalance chat --rate 5/m", `error: --rate must be a number of connections a second above 0, such as 20/s, not "5/m"`},
		{"rebalance chat --rate NaN", `error: --rate must be a number of connections a second above 0, such as 20/s, not "NaN"`},
		{"rebalance chat --tolerance=-1%", `error: --tolerance must be a percentage, such as 10%, not "-1%"`},
		{"rebalance chat --tolerance=Inf", `error: --tolerance must be a percentage, such as 10%, not "Inf"`},
		{"rebalance chat --dry-run", `error: --dry-run flag without a value was specified. A value must be set: "none", "server", or "client"`},
		{"rebalance chat", `error: 2 pods of proxy "chat" have connections, and 1 are ready: wait until all are`},
	} {
		r.fails(test.want, strings.Fields(test.arguments)...)
	}
	proxy.Status.ReadyReplicas = 0
	r.fails(`error: no pod of proxy "chat" is ready`, "rebalance", "chat")
	proxy.Status.Dataplane.Draining = 3
	r.fails(`error: 3 pods of proxy "chat" drain, and their clients will come to the others: wait until status.dataplane.draining is 0`, "rebalance", "chat")
	proxy.Status.ReadyReplicas, proxy.Status.Dataplane.Draining = 3, 0
	r.silent = "shop/chat-d,shop/chat-c"
	if code, out, errOut := r.run("rebalance", "chat"); code != 1 || out != "" || !strings.HasSuffix(errOut, "error: 2 data-plane pods did not answer, so nobody knows how many connections they have: shop/chat-c, shop/chat-d\n") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
	delete(r.objects, chatPath)
	if code, _, _ := r.run("rebalance", "chat"); code != 1 {
		t.Error("it succeeds for a proxy that is not there")
	}
	if got := r.ended(); len(got) > 0 {
		t.Errorf("ended are %v", got)
	}
}

func TestRebalanceFailsWhereOneCannotBeMoved(t *testing.T) {
	r := spread(t, 2, 10)
	r.refuse = func(request *http.Request) *apierrors.StatusError {
		if strings.Contains(request.URL.Path, "pod-0003") {
			return apierrors.NewInternalError(errNo)
		}
		return nil
	}
	code, _, errOut := r.run("rebalance", "chat", "--rate=1000")
	if code != 1 || !strings.HasSuffix(errOut, "\n7 of 8 connections closed, 1 failed\n") {
		t.Errorf("%d\n%s", code, errOut)
	}
}

func TestMovingKeepsToItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, ends := time.Now(), make(chan time.Duration, 100)
		tr := newTrial(100, func(int, string) error { ends <- time.Since(begin); return nil })
		tr.interval = 50 * time.Millisecond
		tr.run(t.Context(), tr.targets)
		tr.summed(t, "100 of 100 connections disconnected")
		for i := range 100 {
			if got, want := <-ends, time.Duration(i)*tr.interval; got != want {
				t.Fatalf("number %d ends after %v, want %v", i, got, want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithTimeout(t.Context(), 4500*time.Millisecond)
		defer interrupt()
		tr := newTrial(100, func(int, string) error { return nil })
		tr.interval = time.Second
		tr.run(ctx, tr.targets)
		tr.summed(t, "5 of 100 connections disconnected, 95 left as they were, or nobody knows")
	})
}

func TestProxiesAreCompleted(t *testing.T) {
	r := newRoom(t)
	list := &wsproxyv1alpha1.WebSocketProxyList{}
	for _, name := range []string{"chat", "chess", "news"} {
		proxy := chat()
		proxy.Name = name
		list.Items = append(list.Items, *proxy)
	}
	r.objects[strings.TrimSuffix(chatPath, "/chat")] = list
	for _, command := range []string{"rebalance", "settings"} {
		if code, out, errOut := r.complete(command, "ch"); code != 0 || !strings.HasPrefix(out, "chat\nchess\n:4\n") {
			t.Errorf("%s: %d\n%s%s", command, code, out, errOut)
		}
		if _, out, _ := r.complete(command, "chat", ""); !strings.HasPrefix(out, ":4\n") {
			t.Errorf("%s: after one there is %s", command, out)
		}
	}
	delete(r.objects, strings.TrimSuffix(chatPath, "/chat"))
	if _, out, _ := r.complete("rebalance", ""); !strings.HasPrefix(out, ":1\n") {
		t.Errorf("without a list there is %s", out)
	}
}
