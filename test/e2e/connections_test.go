// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// elsewhere is the address that some clients come from: a trusted proxy says so.
const elsewhere = "192.0.2.7"

func TestAThousandConnectionsThroughTwoPodsAreListedOnceEach(t *testing.T) {
	r := newRoom(t, "e2e-connections", 1)
	echo := r.proxy("echo", nil)
	clients := r.connectWith(echo, fleet.Options{URL: "/chat?token=secret", Connections: thousand, Rate: 1})
	r.heard(clients, time.Minute)
	want := held(t, clients)
	if pods := clients.Report().Pods; len(pods) != 2 {
		t.Fatalf("the connections were spread over %v, want two pods", pods)
	}

	t.Run("by kubectl get wsc", func(t *testing.T) {
		start := time.Now()
		r.in(t).lists(want)
		t.Logf("kubectl get wsc took %v", time.Since(start).Round(time.Millisecond))
	})
	t.Run("in pages of kubectl --chunk-size=100", func(t *testing.T) { r.in(t).listsInPages(want) })
	t.Run("in pages of client-go", func(t *testing.T) { r.in(t).listsByLimitAndContinue(want) })
	t.Run("as a table", func(t *testing.T) { r.in(t).tables(want) })
	t.Run("and each can be read as YAML", func(t *testing.T) { r.in(t).describes(clients) })

	chat := r.proxy("chat", func(spec *wsproxyv1alpha1.WebSocketProxySpec) {
		spec.Replicas = new(int32(1))
		// Wherever the clients seem to come from in the network of this cluster.
		spec.Listen.TrustedProxies = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
	})
	others := r.connectWith(chat, fleet.Options{Connections: 10, Rate: 1, Header: http.Header{"X-Forwarded-For": {elsewhere}}})
	t.Run("and chosen by labels and fields", func(t *testing.T) { r.in(t).selects(clients, others) })
	t.Run("and explained by kubectl explain", func(t *testing.T) {
		var out string
		// Right after another version was installed, the kube-apiserver asks for the
		// description under its old hash for a moment.
		eventually(t, time.Minute, "the description", func(context.Context) (err error) {
			out, err = kubectl(t, "", "explain", "wsc.status")
			return err
		})
		for _, says := range []string{"connections.wsproxy.io", "phase is Connecting, Open, Reconnecting or Closing", "fromUpstream", "possiblyLost"} {
			if !strings.Contains(out, says) {
				t.Errorf("kubectl explain wsc.status does not say %q:\n%s", says, out)
			}
		}
	})

	r.heard(clients, time.Minute)
	for _, report := range []*fleet.Report{clients.Stop(t.Context()), others.Stop(t.Context())} {
		if err := errors.Join(report.CheckOpen(), report.CheckAll()); err != nil {
			t.Error("while they were listed:", err)
		}
	}
}

// listsInPages lists with kubectl, which says on its log what it asks for.
func (r *room) listsInPages(want []string) {
	names, log := r.listed("--chunk-size=100", "-v=6")
	if err := same(names, want); err != nil {
		r.t.Error(err)
	}
	asked := regexp.MustCompile(`GET.*/websocketconnections\?.*limit=100.*200 OK`).FindAllString(log, -1)
	goesOn := slices.DeleteFunc(slices.Clone(asked), func(line string) bool { return !strings.Contains(line, "continue=") })
	if pages := thousand / 100; len(asked) != pages || len(goesOn) != pages-1 {
		r.t.Errorf("kubectl asked for %d pages, %d of them by a continue token, want %d and %d:\n%s", len(asked), len(goesOn), pages, pages-1, log)
	}
}

// listsByLimitAndContinue asks for pages that do not end where a pod ends.
func (r *room) listsByLimitAndContinue(want []string) {
	const limit = 130
	var names []string
	var sizes []int
	list := &connectionsv1alpha1.WebSocketConnectionList{}
	for version := ""; len(sizes) == 0 || list.Continue != ""; version = list.ResourceVersion {
		if err := r.List(r.t.Context(), list, client.InNamespace(r.namespace), client.Limit(limit), client.Continue(list.Continue)); err != nil {
			r.t.Fatal(err)
		}
		if version != "" && list.ResourceVersion != version {
			r.t.Errorf("page %d has resourceVersion %s, those before it %s", len(sizes)+1, list.ResourceVersion, version)
		}
		sizes = append(sizes, len(list.Items))
		for _, c := range list.Items {
			names = append(names, c.Name)
		}
	}
	if err := same(names, want); err != nil {
		r.t.Error(err)
	}
	if slices.Max(sizes) > limit || len(sizes) != (len(want)+limit-1)/limit {
		r.t.Errorf("the pages have %v, want as few as there can be with %d each", sizes, limit)
	}
}

func (r *room) tables(want []string) {
	lines := strings.Split(strings.TrimSpace(mustKubectl(r.t, "", "-n", r.namespace, "get", "wsc", "-o", "wide")), "\n")
	if got := strings.Join(strings.Fields(lines[0]), " "); got != "NAME PROXY CLIENT PATH PHASE MESSAGES AGE POD UPSTREAM BYTES USER-AGENT" {
		r.t.Errorf("the columns are %s", got)
	}
	row := regexp.MustCompile(`^(\S+) +echo +\d+(?:\.\d+){3} +/chat +Open +[1-9]\d* / [1-9]\d* +\d+[ms]\S* +echo-wsproxy-\S+ +\d+(?:\.\d+){3}:8080 +\S+ / \S+ +wsproxy-load$`)
	var names []string
	for _, line := range lines[1:] {
		found := row.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			r.t.Fatalf("this is no row of a connection: %s", line)
		}
		names = append(names, found[1])
	}
	if err := same(names, want); err != nil {
		r.t.Error(err)
	}
	narrow := mustKubectl(r.t, "", "-n", r.namespace, "get", "wsc", want[0])
	if columns, _, _ := strings.Cut(narrow, "\n"); strings.Join(strings.Fields(columns), " ") != "NAME PROXY CLIENT PATH PHASE MESSAGES AGE" {
		r.t.Errorf("the columns are %s", columns)
	}
	r.t.Log("\n" + narrow)
}

// describes compares an object of each pod with what its client and the cluster know.
func (r *room) describes(clients *fleet.Fleet) {
	before := clients.Report()
	pods, upstream := r.pods("echo"), r.backends()[0].Status.PodIP+":8080"
	for _, pod := range pods {
		prefix := dataplanev1alpha1.PodPrefix(string(pod.UID))
		i := slices.IndexFunc(before.Records, func(r fleet.Record) bool { return strings.HasPrefix(r.ID, prefix) })
		if i < 0 {
			r.t.Errorf("no client is connected to pod %s", pod.Name)
			continue
		}
		name := before.Records[i].ID
		out := mustKubectl(r.t, "", "-n", r.namespace, "get", "wsc", name, "-o", "yaml")
		after := clients.Report().Records[i]
		var c connectionsv1alpha1.WebSocketConnection
		if err := yaml.UnmarshalStrict([]byte(out), &c); err != nil {
			r.t.Fatalf("%v:\n%s", err, out)
		}
		var wrong []error
		expect := func(ok bool, what string) {
			if !ok {
				wrong = append(wrong, errors.New(what))
			}
		}
		expect(c.Kind == "WebSocketConnection" && c.APIVersion == "connections.wsproxy.io/v1alpha1", "kind")
		expect(c.Name == name && c.Namespace == r.namespace && c.UID != "" && c.ResourceVersion != "", "metadata")
		expect(len(c.OwnerReferences)+len(c.Finalizers) == 0 && c.DeletionTimestamp == nil, "somebody owns or deletes it")
		expect(c.Labels["wsproxy.io/proxy"] == "echo" && c.Labels["wsproxy.io/pod"] == pod.Name && len(c.Labels) == 2, "labels")
		expect(c.Spec.Proxy == "echo" && c.Spec.Pod == pod.Name, "proxy and pod")
		expect(c.Spec.Client.UserAgent == "wsproxy-load" && c.Spec.Client.SourceIP != "", "client")
		expect(c.Spec.Path == "/chat" && !strings.Contains(out, "secret"), "the path, without the query")
		expect(c.Spec.ConnectedAt.After(before.Started) && c.Spec.ConnectedAt.Time.Before(after.Opened), "connectedAt")
		expect(c.Status.Phase == connectionsv1alpha1.ConnectionOpen && c.Status.Upstream == upstream, "phase and upstream")
		for _, from := range []connectionsv1alpha1.Traffic{c.Status.FromClient, c.Status.FromUpstream} {
			// What the client has been answered has passed; what it has not said, not.
			expect(before.Records[i].Received <= uint64(from.Messages) && uint64(from.Messages) <= after.Sent, "messages")
			expect(from.Bytes > from.Messages*messageSize, "bytes")
		}
		if len(wrong) > 0 {
			r.t.Errorf("wrong: %v\n%s", errors.Join(wrong...), out)
		}
	}
}

// selects narrows a list by each label and field that there is.
func (r *room) selects(clients, others *fleet.Fleet) {
	echo, chat := held(r.t, clients), held(r.t, others)
	all := slices.Sorted(slices.Values(slices.Concat(echo, chat)))
	for _, s := range []struct {
		args []string
		want []string
	}{
		{nil, all},
		{[]string{"-l", "wsproxy.io/proxy=echo"}, echo},
		{[]string{"-l", "wsproxy.io/proxy in (echo,chat)"}, all},
		{[]string{"-l", "wsproxy.io/proxy=nothing"}, nil},
		{[]string{"--field-selector=spec.proxy=chat"}, chat},
		{[]string{"--field-selector=spec.proxy!=chat", "--chunk-size=100"}, echo},
		{[]string{"--field-selector=spec.sourceIP=" + elsewhere}, chat},
		{[]string{"--field-selector=spec.sourceIP!=" + elsewhere}, echo},
		{[]string{"--field-selector=spec.sourceIP=192.0.2.8"}, nil},
		{[]string{"--field-selector=status.phase=Open"}, all},
		{[]string{"--field-selector=status.phase!=Open"}, nil},
		{[]string{"--field-selector=status.phase=Open,spec.proxy=chat"}, chat},
		{[]string{"--field-selector=metadata.name=" + chat[3]}, chat[3:4]},
		{[]string{"-A", "--field-selector=metadata.namespace=" + r.namespace}, all},
	} {
		r.lists(s.want, s.args...)
	}
	sum := 0
	for _, pod := range r.pods("echo") {
		prefix := dataplanev1alpha1.PodPrefix(string(pod.UID))
		its := slices.DeleteFunc(slices.Clone(echo), func(name string) bool { return !strings.HasPrefix(name, prefix) })
		r.lists(its, "--field-selector=spec.pod="+pod.Name)
		r.lists(its, "-l", "wsproxy.io/pod="+pod.Name)
		sum += len(its)
	}
	if sum != thousand {
		r.t.Errorf("the pods have %d connections between them, want %d", sum, thousand)
	}
	if out, err := kubectl(r.t, "", "-n", r.namespace, "get", "wsc", "--field-selector=spec.path=/chat"); err == nil || !strings.Contains(out, "field label not supported: spec.path") {
		r.t.Errorf("by a field that cannot be selected by: %v: %s", err, out)
	}
}
