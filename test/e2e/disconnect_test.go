// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

func TestAdministratorsEndExactlyTheConnectionsThatTheyChoose(t *testing.T) {
	r := newRoom(t, "e2e-disconnect", 1)
	echo := r.proxy("echo", nil)
	chat := r.proxy("chat", func(spec *wsproxyv1alpha1.WebSocketProxySpec) { spec.Replicas = new(int32(1)) })
	clients, bystanders := r.talk(echo, thousand), r.talk(chat, 10)
	names := held(t, clients)
	ended := endings{}

	t.Run("a dry run ends none", func(t *testing.T) {
		out := mustKubectl(t, "", "-n", r.namespace, "delete", "wsc", "-l", "wsproxy.io/proxy=echo", "--dry-run=server")
		if n := strings.Count(out, "(server dry run)"); n != thousand {
			t.Errorf("it names %d connections, want %d", n, thousand)
		}
		r.in(t).ends(clients, ended)
	})
	t.Run("kubectl delete wsc NAME ends one", func(t *testing.T) {
		if out := mustKubectl(t, "", "-n", r.namespace, "delete", "wsc", names[500]); strings.Count(out, "deleted") != 1 || !strings.Contains(out, names[500]) {
			t.Error(out)
		}
		ended.add(byAdministrator, names[500])
		r.in(t).ends(clients, ended)
	})
	t.Run("disconnect ends one with a code and a reason", func(t *testing.T) {
		r := r.in(t)
		out := mustKubectl(t, `{"code":4001,"reason":"maintenance, back in a minute"}`, "create", "-f", "-", "--raw", connectionPath(r.namespace, names[0], "disconnect"))
		if !strings.Contains(out, names[0]) || !strings.Contains(out, `"deletionTimestamp"`) {
			t.Errorf("it answers with %s", out)
		}
		ended.add(end{4001, "maintenance, back in a minute"}, names[0])
		c := &connectionsv1alpha1.WebSocketConnection{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: names[999]}}
		// 123 bytes, of which two make a letter, are as many as there may be.
		longest := strings.Repeat("ü", 61) + "!"
		if err := r.SubResource("disconnect").Create(t.Context(), c, &connectionsv1alpha1.WebSocketDisconnect{Code: new(int32(1012)), Reason: &longest}); err != nil {
			t.Fatal(err)
		}
		ended.add(end{1012, longest}, names[999])
		r.ends(clients, ended)
	})
	t.Run("kubectl delete wsc with labels ends those of a pod", func(t *testing.T) {
		r := r.in(t)
		pod := r.pods("echo")[0].Name
		chosen, _ := r.listed("-l", "wsproxy.io/pod="+pod)
		start := time.Now()
		// It sends a request for each, is told to slow down, and does. If it were to
		// wait, it would ask for each of them again, at five requests a second.
		out := mustKubectl(t, "", "-n", r.namespace, "delete", "wsc", "-l", "wsproxy.io/proxy=echo,wsproxy.io/pod="+pod, "--wait=false")
		t.Logf("kubectl delete of %d connections took %v", len(chosen), time.Since(start).Round(time.Millisecond))
		if n := strings.Count(out, "deleted"); n != len(chosen) || n == 0 {
			t.Errorf("it names %d connections, want %d:\n%s", n, len(chosen), out)
		}
		ended.add(byAdministrator, chosen...)
		r.ends(clients, ended)
	})
	t.Run("deletecollection with a label ends the rest", func(t *testing.T) {
		r := r.in(t)
		rest := held(t, clients)
		start := time.Now()
		if err := r.DeleteAllOf(t.Context(), &connectionsv1alpha1.WebSocketConnection{}, client.InNamespace(r.namespace), client.MatchingLabels{wsproxyv1alpha1.LabelProxy: "echo"}); err != nil {
			t.Fatal(err)
		}
		t.Logf("deletecollection of %d connections took %v", len(rest), time.Since(start).Round(time.Millisecond))
		ended.add(byAdministrator, rest...)
		r.ends(clients, ended)
		if len(ended) != thousand {
			t.Errorf("%d connections have ended, want all %d", len(ended), thousand)
		}
	})
	t.Run("and nothing of another proxy", func(t *testing.T) {
		r := r.in(t)
		r.ends(bystanders, nil)
		r.listsSoon(held(t, bystanders))
	})
}

// end is how a connection ended: what the close frame said.
type end struct {
	code   int
	reason string
}

var byAdministrator = end{connectionsv1alpha1.DefaultCloseCode, connectionsv1alpha1.DefaultReason}

// endings are the connections that have ended, by name.
type endings map[string]end

func (e endings) add(how end, names ...string) {
	for _, name := range names {
		e[name] = how
	}
}

// ends waits until these connections have ended, and fails unless their clients
// were told so, nobody else's connection has ended, and everybody else goes on to
// be answered and has lost nothing.
func (r *room) ends(clients *fleet.Fleet, want endings) {
	r.t.Helper()
	eventually(r.t, time.Minute, "the connections to end", func(context.Context) error {
		for _, record := range clients.Report().Records {
			if _, ends := want[record.ID]; ends && record.Closed.IsZero() {
				return fmt.Errorf("client %s is connected", record.ID)
			}
		}
		return nil
	})
	if len(want) < clients.Totals().Wanted {
		r.heard(clients, time.Minute, slices.Collect(maps.Keys(want))...)
	}
	for _, record := range clients.Report().Records {
		how := want[record.ID]
		if got := (end{record.Code, record.Reason}); got != how {
			r.t.Errorf("client %s has ended with %d %q, want %d %q", record.ID, got.code, got.reason, how.code, how.reason)
		}
		// What a client says just before it is told that it is over may have no answer.
		if lost := record.Missing - record.Outstanding; lost+record.Duplicated+record.OutOfOrder+record.Foreign > 0 {
			r.t.Errorf("client %s has lost something: %+v", record.ID, record)
		}
	}
}

// listsSoon is lists for connections some of which may still be closing.
func (r *room) listsSoon(want []string, args ...string) {
	r.t.Helper()
	eventually(r.t, time.Minute, "kubectl get wsc to list what is there", func(context.Context) error {
		names, _ := r.listed(args...)
		return same(names, want)
	})
}

// connectionPath is the URL path of the connections of a namespace, of one, or of
// its subresource.
func connectionPath(namespace string, parts ...string) string {
	path := "/apis/" + connectionsv1alpha1.GroupVersion.String() + "/namespaces/" + namespace + "/" + connectionsv1alpha1.ResourceConnections
	return strings.Join(append([]string{path}, parts...), "/")
}
