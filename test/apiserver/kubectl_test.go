// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// TestKubectl is one test because a kube-apiserver takes seconds to start.
func TestKubectl(t *testing.T) {
	c := newCluster(t)
	c.kubectl("create", "namespace", "shop")
	a, b := c.pod("shop", "echo", "echo-a", false), c.pod("shop", "echo", "echo-b", false)
	want := sorted(a.connect(600), b.connect(400))
	eventually(t, "all are listed", func() bool { return slices.Equal(want, c.names()) })

	t.Run("lists", c.lists(want))
	t.Run("explain", func(t *testing.T) {
		for field, text := range map[string]string{
			"wsc":                      "It exists as\n    long as the connection does",
			"wsc.spec":                 "path of the request",
			"wsc.spec.client.sourceIP": "address",
			"wsc.status.phase":         "Connecting, Open, Reconnecting or Closing",
			"cwsc":                     "a connection that has ended, and how",
			"cwsc.status.cause":        "ClientClose, UpstreamClose, ClientLost",
			"cwsc.spec.path":           "path of the request",
		} {
			out := c.kubectl("explain", field)
			if !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(text), " ")) || !strings.Contains(out, "connections.wsproxy.io") {
				t.Errorf("explain %s:\n%s", field, out)
			}
		}
	})
	t.Run("delete", func(t *testing.T) {
		name := want[7]
		for _, p := range []*pod{a, b} {
			if gone := p.connections[name]; gone != nil {
				gone.whenDisconnected(func() { p.close(name) })
			}
		}
		if out := c.kubectl("delete", "wsc", "-n", "shop", name); !strings.Contains(out, name) {
			t.Error(out)
		}
		if ended := append(a.ended(), b.ended()...); !slices.Equal(ended, []string{name}) {
			t.Errorf("ended %v", ended)
		}
		if out := c.kubectl("delete", "wsc", "-n", "shop", "-l", "wsproxy.io/proxy=echo", "--dry-run=server"); strings.Count(out, "\n") != 999 {
			t.Errorf("a dry run lists %d", strings.Count(out, "\n"))
		}
		if ended := len(a.ended()) + len(b.ended()); ended != 1 {
			t.Errorf("a dry run leaves %d ended", ended)
		}
		if out, err := c.try("", "delete", "wsc", "-n", "shop", name); err == nil || !strings.Contains(out, "NotFound") {
			t.Errorf("deleted again: %v: %s", err, out)
		}
		if out, err := c.try("", "delete", "wsc", "-n", "shop", "chat"); err == nil || !strings.Contains(out, "metadata.name") {
			t.Errorf("a malformed name: %v: %s", err, out)
		}
	})
	t.Run("watch", c.watch)
	t.Run("closed", c.closed)
	t.Run("rights", c.rights(want[0]))
	t.Run("tokens", c.tokens)
	t.Run("plugin", c.plugin)
	t.Run("silent pods", c.silence)
	t.Run("new certificates", func(t *testing.T) {
		before := c.served()
		c.authority.Write(t, c.dir+"/tls.crt", c.dir+"/tls.key", serviceName+"."+system+".svc")
		eventually(t, "the new certificate is served", func() bool {
			c.kubectl("get", "--raw", path("shop", want[1]))
			return c.served() != before
		})
	})
	t.Run("the end", c.ends)
}

// ends ends the program, which others watch through, where no pod is silent: they are sent away, to go on at
// another replica. It would wait for them for a minute.
func (c *cluster) ends(t *testing.T) {
	client, err := rest.HTTPClientFor(c.config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(c.config.Host, "/")+path("past")+"?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Body.Close()
	if _, err := watch.Body.Read(make([]byte, 1)); err != nil || watch.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", watch.Status, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.end() }()
	select {
	case err := <-ended:
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Errorf("the program goes on after %v", patience)
	}
	if _, err := io.Copy(io.Discard, watch.Body); err != nil {
		t.Errorf("the watch ends with %v", err)
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// names are what kubectl lists in shop.
func (c *cluster) names(arguments ...string) []string {
	c.Helper()
	out := c.kubectl(append([]string{"get", "wsc", "-n", "shop", "-o", "name"}, arguments...)...)
	names := strings.Fields(strings.ReplaceAll(out, "websocketconnection.connections.wsproxy.io/", ""))
	return names
}

func (c *cluster) lists(want []string) func(*testing.T) {
	return func(t *testing.T) {
		for _, arguments := range [][]string{nil, {"--chunk-size=100"}, {"--chunk-size=0"}, {"-l", "wsproxy.io/proxy=echo"}, {"--field-selector=spec.proxy=echo"}} {
			if got := c.names(arguments...); !slices.Equal(got, want) {
				t.Errorf("%v lists %d", arguments, len(got))
			}
		}
		out := c.kubectl("get", "websocketconnections", "-A", "--chunk-size=100")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if got := strings.Fields(lines[0]); !slices.Equal(got, strings.Fields("NAMESPACE NAME PROXY CLIENT PATH PHASE MESSAGES AGE")) || len(lines) != 1001 {
			t.Errorf("%d lines under %s", len(lines)-1, lines[0])
		}
		t.Log("\n" + strings.Join(lines[:3], "\n"))
		out = c.kubectl("get", "wsc", "-n", "shop", "-o", "wide", want[0])
		if !strings.Contains(out, "POD") || !strings.Contains(out, "UPSTREAM") || !strings.Contains(out, "BYTES") || !strings.Contains(out, "USER-AGENT") || !strings.Contains(out, "test/1.0") {
			t.Error(out)
		}
		t.Log("\n" + out)
		// A negative limit is none, as it is to Kubernetes.
		c.kubectl("get", "--raw", "/api/v1/namespaces?limit=-1")
		if out := c.kubectl("get", "--raw", path("shop")+"?limit=-1"); strings.Count(out, `"connectedAt"`) != 1000 {
			t.Errorf("a limit of -1 lists %d", strings.Count(out, `"connectedAt"`))
		}
		if out := c.kubectl("get", "wsproxy", "-n", "shop"); !strings.Contains(out, want[0]) {
			t.Errorf("the category lists\n%.300s", out)
		}
		if out := c.kubectl("api-resources", "--api-group=connections.wsproxy.io", "-o", "wide"); !strings.Contains(out, "wsc") || !strings.Contains(out, "watch") {
			t.Error(out)
		}
	}
}

// watch is what kubectl and an informer of client-go see behind the kube-apiserver.
func (c *cluster) watch(t *testing.T) {
	c.kubectl("create", "namespace", "churn")
	p := c.pod("churn", "echo", "echo-a", false)
	names := p.connect(3)
	i := informer(t, c.config, "churn")
	said := c.follow(t, "get", "wsc", "-n", "churn", "-w", "--output-watch-events")
	says := func(line string) {
		t.Helper()
		eventually(t, "kubectl get -w says "+line, func() bool { return regexp.MustCompile("(?m)^" + line).MatchString(said.String()) })
	}
	says("EVENT")
	for _, name := range names {
		says("ADDED +" + name + " .*Open")
	}
	eventually(t, "the informer sees them", func() bool { return len(i.GetStore().List()) == 3 })

	last := p.entries[names[0]]
	met := func(what string) <-chan string {
		done := make(chan string, 1)
		go func() {
			out, err := c.try("", "wait", "-n", "churn", "--timeout=60s", what, "wsc/"+names[0])
			done <- fmt.Sprint(out, err)
		}()
		return done
	}
	closing, gone := met("--for=jsonpath={.status.phase}=Closing"), met("--for=delete")
	deleted := make(chan string, 1)
	go func() {
		out, err := c.try("", "delete", "wsc", "-n", "churn", names[0])
		deleted <- fmt.Sprint(out, err)
	}()
	for _, end := range []struct {
		what string
		done <-chan string
		want string
	}{{"kubectl wait for Closing", closing, "condition met"}, {"kubectl wait for the end", gone, "condition met"}, {"kubectl delete", deleted, names[0]}} {
		if out := <-end.done; !strings.Contains(out, end.want) || strings.Contains(out, "atch") {
			t.Errorf("%s: %s", end.what, out)
		}
		p.registry.Remove(last) // It stays in Closing until somebody has seen it so.
	}
	says("MODIFIED +" + names[0] + " .*Closing")
	says("DELETED +" + names[0])
	p.close(names[1])
	p.close(names[2])

	loads := []*load{{pod: p, record: map[string]string{}}}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	loads[0].run(ctx, rand.New(rand.NewPCG(1, 1)))
	settle(t, i, loads)
}

// closed is what kubectl says of those that have ended.
func (c *cluster) closed(t *testing.T) {
	c.kubectl("create", "namespace", "past")
	p := c.pod("past", "echo", "echo-a", false)
	names := p.connect(3)
	p.end(ending("Client", "ClientClose", 4001, "logged out"), names[0])
	p.end(ending("Admin", "Disconnected", 1000, "maintenance"), names[1])
	var out string
	eventually(t, "they are listed", func() bool {
		out = c.kubectl("get", "cwsc", "-n", "past", "--chunk-size=1")
		return strings.Count(out, "\n") == 3
	})
	for _, line := range []string{
		"NAME +PROXY +CLIENT +BY +CAUSE +CODE +REASON +LASTED +AGE",
		names[0] + " +echo +192.0.2.0 +Client +ClientClose +4001 +logged out +60s ",
		names[1] + " +echo +192.0.2.1 +Admin +Disconnected +1000 +maintenance +60s ",
	} {
		if !regexp.MustCompile("(?m)^" + line).MatchString(out) {
			t.Errorf("kubectl get cwsc does not say %q:\n%s", line, out)
		}
	}
	t.Log("\n" + c.kubectl("get", "cwsc", "-n", "past", "-o", "wide"))
	if out := c.kubectl("get", "closedwebsocketconnections", "-n", "past", "--field-selector=status.cause=Disconnected", "-o", "jsonpath={.items[*].status.reason}"); out != "maintenance" {
		t.Errorf("the reason is %q", out)
	}
	if out, err := c.try("", "get", "cwsc", "-n", "past", names[2]); err == nil || !strings.Contains(out, `closedwebsocketconnections.connections.wsproxy.io "`+names[2]+`" not found`) {
		t.Errorf("one that lives: %v: %s", err, out)
	}
	if out, err := c.try("", "get", "cwsc", "-n", "past", "--watch-only", "--request-timeout=5s"); err == nil || !strings.Contains(out, "MethodNotAllowed") {
		t.Errorf("a watch: %v: %s", err, out)
	}
	if out := c.kubectl("describe", "cwsc", "-n", "past", names[0]); !strings.Contains(out, "logged out") {
		t.Error(out)
	}
	if out := c.kubectl("api-resources", "--api-group=connections.wsproxy.io", "-o", "wide"); !regexp.MustCompile("(?m)^closedwebsocketconnections +cwsc .* get,list *$").MatchString(out) {
		t.Error(out)
	}
	c.kubectl("create", "rolebinding", "viewer", "-n", "past", "--clusterrole=wsproxy-connections-viewer", "--user=vera")
	eventually(t, "vera may see how they ended", func() bool {
		out, err := c.try("", "get", "cwsc", "--as=vera", "-n", "past", names[0])
		return err == nil && strings.Contains(out, "logged out")
	})
	if out, err := c.try("", "get", "cwsc", "--as=mallory", "-n", "past"); err == nil || !strings.Contains(out, "Forbidden") {
		t.Errorf("mallory sees: %v: %s", err, out)
	}
}

func (c *cluster) rights(name string) func(*testing.T) {
	return func(t *testing.T) {
		disconnect := func(user string) (string, error) {
			return c.try(`{"code":4000,"reason":"maintenance"}`, "create", "--as="+user, "-f", "-", "--raw", path("shop", name, "disconnect"))
		}
		get := func(user string) (string, error) { return c.try("", "get", "wsc", "--as="+user, "-n", "shop", name) }
		c.kubectl("create", "rolebinding", "viewer", "-n", "shop", "--clusterrole=wsproxy-connections-viewer", "--user=vera")
		c.kubectl("create", "rolebinding", "operator", "-n", "shop", "--clusterrole=wsproxy-connections-operator", "--user=oscar")
		c.kubectl("create", "rolebinding", "view", "-n", "shop", "--clusterrole=view", "--user=victor")
		c.kubectl("create", "rolebinding", "messenger", "-n", "shop", "--clusterrole=wsproxy-connections-messenger", "--user=mia")
		eventually(t, "vera may see", func() bool { _, err := get("vera"); return err == nil })
		for _, user := range []string{"mallory", "victor"} {
			if out, err := get(user); err == nil || !strings.Contains(out, "Forbidden") {
				t.Errorf("%s sees: %v: %s", user, err, out)
			}
		}
		send := func(user, body string) (string, error) {
			return c.try(body, "create", "--as="+user, "-f", "-", "--raw", path("shop", name, "send"))
		}
		eventually(t, "mia may send", func() bool {
			out, err := send("mia", `{"text":"hello"}`)
			return err == nil && strings.Contains(out, "Success")
		})
		if out, err := get("mia"); err == nil || !strings.Contains(out, "Forbidden") {
			t.Errorf("mia sees: %v: %s", err, out)
		}
		for _, user := range []string{"vera", "oscar", "mallory"} {
			if out, err := send(user, `{"text":"hello"}`); err == nil || !strings.Contains(out, "Forbidden") {
				t.Errorf("%s sends: %v: %s", user, err, out)
			}
		}
		for body, says := range map[string]string{
			`{"type":"Text","data":"/w=="}`:                              "data: Invalid value: must be UTF-8",
			`{"txt":"typo"}`:                                             `unknown field "txt"`,
			`{"text":"` + strings.Repeat("x", 128<<10) + `!"}`:           "may have at most 131072",
			`{"metadata":{"uid":"another"},"text":"to a former holder"}`: "the uid is another one",
		} {
			if out, err := send("mia", body); err == nil || !strings.Contains(out, says) {
				t.Errorf("it is answered with %v: %s, want %s", err, out, says)
			}
		}
		if out := c.kubectl("get", "--raw", "/openapi/v3/apis/connections.wsproxy.io/v1alpha1"); !strings.Contains(out, "WebSocketSend") || !strings.Contains(out, "is the payload of a Text as it is") {
			t.Errorf("OpenAPI does not say what can be sent: %.300s", out)
		}
		if out, err := disconnect("vera"); err == nil || !strings.Contains(out, "Forbidden") {
			t.Errorf("vera disconnects: %v: %s", err, out)
		}
		if out, err := disconnect("oscar"); err != nil || !strings.Contains(out, "deletionTimestamp") {
			t.Errorf("oscar disconnects: %v: %s", err, out)
		}
		if out, err := disconnect("oscar"); err == nil || !strings.Contains(out, "closing already") {
			t.Errorf("oscar disconnects again: %v: %s", err, out)
		}
		if out, err := send("mia", `{"text":"too late"}`); err == nil || !strings.Contains(out, "closing already") {
			t.Errorf("mia sends to one that closes: %v: %s", err, out)
		}
	}
}

func (c *cluster) tokens(t *testing.T) {
	if _, err := c.kube.CoreV1().ServiceAccounts("shop").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "backend"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ours, kubernetes := c.token("backend", "shop", "connections.wsproxy.io"), c.token("backend", "shop")
	for what, ask := range map[string]struct {
		path, token string
		code        int
	}{
		"nobody":                         {path("shop"), "", http.StatusUnauthorized},
		"nobody, discovery":              {"/apis", "", http.StatusUnauthorized},
		"nobody, health":                 {"/healthz", "", http.StatusOK},
		"a wrong token":                  {path("shop"), "x.y.z", http.StatusUnauthorized},
		"a token for the kube-apiserver": {path("shop"), kubernetes, http.StatusUnauthorized},
		"a token without rights":         {path("shop"), ours, http.StatusForbidden},
	} {
		if code, body := c.direct(ask.path, ask.token); code != ask.code {
			t.Errorf("%s: %d, want %d: %s", what, code, ask.code, body)
		}
	}
	c.kubectl("create", "rolebinding", "backend", "-n", "shop", "--clusterrole=wsproxy-connections-viewer", "--serviceaccount=shop:backend")
	eventually(t, "the backend may see", func() bool { code, _ := c.direct(path("shop"), ours); return code == http.StatusOK })

	// Who asks often costs the kube-apiserver a question now and then, whatever the names.
	before := c.reviews()
	for n := range 100 {
		if code, body := c.direct(path("shop", fmt.Sprintf("k5dfau6e5kgemg63i-%08d", n)), ours); code != http.StatusNotFound {
			t.Fatalf("%d: %s", code, body)
		}
	}
	if n := c.reviews() - before; n > 40 {
		t.Errorf("100 requests cost %d reviews", n)
	}
	// The answers are remembered for a few seconds only.
	c.kubectl("delete", "rolebinding", "backend", "-n", "shop")
	eventually(t, "the backend may not see any more", func() bool { code, _ := c.direct(path("shop"), ours); return code == http.StatusForbidden })
	c.kubectl("delete", "serviceaccount", "backend", "-n", "shop")
	eventually(t, "the backend is nobody any more", func() bool { code, _ := c.direct(path("shop"), ours); return code == http.StatusUnauthorized })
}

// reviews counts what the kube-apiserver was asked about tokens and rights.
func (c *cluster) reviews() (n int) {
	c.Helper()
	for _, found := range regexp.MustCompile(`(?m)^apiserver_request_total\{.*resource="(?:tokenreviews|subjectaccessreviews)".*\} (\d+)$`).FindAllStringSubmatch(c.kubectl("get", "--raw", "/metrics"), -1) {
		count, err := strconv.Atoi(found[1])
		if err != nil {
			c.Fatal(err)
		}
		n += count
	}
	if n == 0 {
		c.Fatal("the kube-apiserver was never asked")
	}
	return n
}

func (c *cluster) silence(t *testing.T) {
	for i := range 10 {
		c.pod("shop", "silent", fmt.Sprintf("silent-%d", i), true)
	}
	eventually(t, "a list says what it lacks", func() bool {
		out := c.kubectl("get", "wsc", "-n", "shop", "--chunk-size=0")
		return strings.Contains(out, "Warning: 10 data-plane pods did not answer") && strings.Count(out, " Open ") > 900
	})
	// Pages go on without them, and every page says so; kubectl says it once.
	for _, size := range []string{"--chunk-size=100", "--chunk-size=500"} {
		out := c.kubectl("get", "wsc", "-n", "shop", size)
		if strings.Count(out, "Warning: 10 data-plane pods did not answer") != 1 || strings.Count(out, " Open ") < 900 {
			t.Errorf("%s lists %d:\n%.500s", size, strings.Count(out, " Open "), out)
		}
	}
	begin := time.Now()
	c.kubectl("api-resources", "--cached=false")
	took := time.Since(begin)
	t.Logf("api-resources took %v", took)
	if took > 10*time.Second {
		t.Errorf("api-resources took %v", took)
	}
}
