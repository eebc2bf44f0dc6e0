// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// closedPath is path of closed connections.
func closedPath(namespace string, rest ...string) string {
	return strings.Replace(path(namespace, rest...), "/websocketconnections", "/closedwebsocketconnections", 1)
}

// end ends connections of a pod, a minute after their handshakes.
func (p *pod) end(how *dataplanev1alpha1.End, names ...string) {
	for _, name := range names {
		e := p.entries[name]
		last := &dataplanev1alpha1.Connection{}
		e.Connection().Describe(last)
		last.Phase, last.End = dataplanev1alpha1.Phase_PHASE_CLOSING, how
		last.ConnectedAt = timestamppb.New(how.GetAt().AsTime().Add(-time.Minute))
		last.ClosingSince, last.LastActiveAt = how.GetAt(), how.GetAt()
		p.registry.RemoveAs(e.ID(), last)
	}
}

// ending is an end that has just been.
func ending(by, cause string, code int32, reason string) *dataplanev1alpha1.End {
	return &dataplanev1alpha1.End{By: by, Cause: cause, Code: code, Reason: reason, At: timestamppb.Now()}
}

func (a answer) closedList() (l connectionsv1alpha1.ClosedWebSocketConnectionList) {
	a.Helper()
	a.into(http.StatusOK, &l)
	if l.Kind != "ClosedWebSocketConnectionList" {
		a.Fatalf("not a list: %s", a.body)
	}
	return l
}

func closedNames(l connectionsv1alpha1.ClosedWebSocketConnectionList) []string {
	names := make([]string, 0, len(l.Items))
	for _, c := range l.Items {
		names = append(names, c.Name)
	}
	return names
}

func TestAConnectionThatHasEndedSaysHow(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	uid := r.get(path("shop", name)).object(http.StatusOK).UID
	r.get(closedPath("shop", name)).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
	how := ending("Client", "ClientClose", 4001, "logged out")
	how.CutOff, how.Undelivered = true, 7
	p.end(how, name)

	r.get(path("shop", name)).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
	var c connectionsv1alpha1.ClosedWebSocketConnection
	r.get(closedPath("shop", name)).into(http.StatusOK, &c)
	at := how.GetAt().AsTime()
	if c.Kind != "ClosedWebSocketConnection" || c.Name != name || c.Namespace != "shop" || c.UID != uid || c.DeletionTimestamp != nil ||
		c.Labels["wsproxy.io/proxy"] != "echo" || c.Labels["wsproxy.io/pod"] != "echo-a" || c.ResourceVersion == "" || c.CreationTimestamp.Unix() != at.Unix() {
		t.Errorf("%+v", c.ObjectMeta)
	}
	if c.Spec.Proxy != "echo" || c.Spec.Pod != "echo-a" || c.Spec.Path != "/chat/0" || c.Spec.Client.SourceIP != "192.0.2.0" || c.Spec.Client.UserAgent != "test/1.0" {
		t.Errorf("%+v", c.Spec)
	}
	if got := c.Status.ClosedAt.Sub(at).Abs(); got >= time.Microsecond {
		t.Errorf("closed at %v, want %v", c.Status.ClosedAt, at)
	}
	if got := c.Status.LastActiveAt.Sub(at).Abs(); got >= time.Microsecond {
		t.Errorf("last active at %v, want %v", c.Status.LastActiveAt, at)
	}
	c.Status.ClosedAt, c.Status.LastActiveAt = metav1.MicroTime{}, metav1.MicroTime{}
	if want := (connectionsv1alpha1.ClosedWebSocketConnectionStatus{
		By: connectionsv1alpha1.EndedByClient, Cause: connectionsv1alpha1.CauseClientClose, Code: 4001, Reason: "logged out",
		CloseFrameCutOff: true, Undelivered: 7, DurationMilliseconds: 60_000, Upstream: "10.0.0.7:8080",
		FromClient: connectionsv1alpha1.Traffic{Messages: 1, Bytes: 100}, FromUpstream: connectionsv1alpha1.Traffic{Messages: 12_345, Bytes: 5 << 20},
	}); c.Status != want {
		t.Errorf("%+v, want\n%+v", c.Status, want)
	}
	// Nobody else's, and what never was.
	for _, at := range []string{closedPath("other", name), closedPath("shop", "chat"), closedPath("shop", name[:len(name)-1]+"v")} {
		s := r.get(at).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
		if s.Details.Kind != "closedwebsocketconnections" {
			t.Errorf("%s: %s", at, s.Message)
		}
	}
}

// What a pod remembers goes with it.
func TestTheClosedOfAPodThatIsGoneAreUnknown(t *testing.T) {
	r := newRoom(t)
	p, other := r.pod("shop", "echo", "echo-a"), r.pod("shop", "echo", "echo-b")
	names, rest := p.connect(2), other.connect(2)
	p.end(ending("Client", "ClientClose", 1000, ""), names...)
	other.end(ending("Client", "ClientClose", 1000, ""), rest...)
	if got := closedNames(r.get(closedPath("shop")).closedList()); !slices.Equal(got, sorted(names, rest)) {
		t.Errorf("listed %v", got)
	}
	r.remove(p)
	r.get(closedPath("shop", names[0])).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
	if got := closedNames(r.get(closedPath("shop")).closedList()); !slices.Equal(got, rest) {
		t.Errorf("listed %v", got)
	}
}

func TestTheClosedAreSelectedAndListedInPages(t *testing.T) {
	r := newRoom(t)
	a, b, c := r.pod("shop", "echo", "echo-a"), r.pod("shop", "chat", "chat-a"), r.pod("other", "echo", "echo-b")
	inA, inB, inC := a.connect(30), b.connect(10), c.connect(5)
	live := inA[25:]
	inA = inA[:25]
	a.end(ending("Client", "ClientClose", 4001, "logged out"), inA[:10]...)
	a.end(ending("Network", "ClientLost", 1006, "client connection reset"), inA[10:]...)
	b.end(ending("Admin", "Disconnected", 1000, "maintenance"), inB...)
	c.end(ending("Client", "ClientClose", 1000, ""), inC...)
	for _, s := range []struct {
		namespace, labels, fields string
		want                      []string
	}{
		{"shop", "", "", append(slices.Clone(inA), inB...)},
		{"", "", "", slices.Concat(inA, inB, inC)},
		{"", "wsproxy.io/proxy=echo", "", append(slices.Clone(inA), inC...)},
		{"shop", "wsproxy.io/pod=chat-a", "", inB},
		{"shop", "", "spec.proxy=chat", inB},
		{"", "", "spec.pod=echo-b", inC},
		{"", "", "metadata.namespace=other", inC},
		{"shop", "", "spec.sourceIP=192.0.2.7", []string{inA[7], inA[17], inB[7]}},
		{"shop", "", "spec.client.sourceIP=::ffff:192.0.2.7,status.by=Network", []string{inA[17]}},
		{"", "", "status.by=Client", append(slices.Clone(inA[:10]), inC...)},
		{"", "", "status.by!=Client", append(slices.Clone(inA[10:]), inB...)},
		{"shop", "", "status.cause=ClientLost", inA[10:]},
		{"", "wsproxy.io/proxy=echo", "status.code=1000", inC},
		{"", "", "status.cause=ClientClose,status.code=4001", inA[:10]},
		{"shop", "", "metadata.name=" + inB[4], inB[4:5]},
		{"shop", "", "metadata.name=" + inB[4] + ",status.by=Client", nil},
		{"shop", "", "metadata.name=" + live[0], nil},
		{"shop", "", "metadata.name=" + inC[0], nil},
	} {
		t.Run(s.namespace+" "+s.labels+" "+s.fields, func(t *testing.T) {
			in := *r
			in.T = t
			query := "?labelSelector=" + url.QueryEscape(s.labels) + "&fieldSelector=" + url.QueryEscape(s.fields)
			if got := closedNames(in.get(closedPath(s.namespace) + query).closedList()); !slices.Equal(got, sorted(s.want)) {
				t.Errorf("listed %v, want %v", got, sorted(s.want))
			}
			var got []string
			for token, pages := "", 0; pages == 0 || token != ""; pages++ {
				l := in.get(closedPath(s.namespace) + query + "&limit=2&continue=" + token).closedList()
				if len(l.Items) > 2 || l.ResourceVersion == "" {
					t.Fatalf("a page of %d, resourceVersion %q", len(l.Items), l.ResourceVersion)
				}
				got, token = append(got, closedNames(l)...), l.Continue
			}
			if !slices.Equal(got, sorted(s.want)) {
				t.Errorf("pages list %v, want %v", got, sorted(s.want))
			}
		})
	}
	for _, of := range []struct{ path, field string }{
		{closedPath("shop"), "status.phase=Open"}, {closedPath("shop"), "spec.path=/"}, {path("shop"), "status.cause=ClientLost"}, {path("shop"), "status.code=1000"},
	} {
		r.get(of.path+"?fieldSelector="+url.QueryEscape(of.field)).refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
	}
	// What nothing can match is not answered with nothing.
	for selector, right := range map[string]string{
		"status.by=admin":          "Admin",
		"status.by!=admin":         "Admin",
		"status.cause=Drain":       "Drained",
		"status.cause=":            "ClientClose",
		"status.code=abc":          "1000 to 4999",
		"status.code=99":           "1000 to 4999",
		"spec.sourceIP!=192.0.2":   "no IP address",
		"status.by=Client,x=y":     "x",
		"status.by in (Client)":    "invalid selector",
		"status.code=4001,spec.ip": "invalid selector",
	} {
		s := r.get(closedPath("shop")+"?fieldSelector="+url.QueryEscape(selector)).refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
		if !strings.Contains(s.Message, right) {
			t.Errorf("%s: %s", selector, s.Message)
		}
	}
	if got := namesOf(r.get(path("shop")).list()); !slices.Equal(got, live) {
		t.Errorf("live are %v, want %v", got, live)
	}
}

func TestAListOfTheClosedSaysWhatItLacks(t *testing.T) {
	r := newRoom(t, podTimeout(200*time.Millisecond))
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(3)
	p.end(ending("Client", "ClientClose", 1000, ""), names...)
	silent := r.silentPod("shop", "echo", "echo-silent")
	// It is of a release that remembers nothing.
	former := newPod("shop", "echo", "echo-former", someUID())
	r.run(former, &dataplanev1alpha1.UnimplementedConnectionsServer{})
	a := r.get(closedPath("shop"))
	l := a.closedList()
	missing := strings.Split(l.Annotations[connectionsv1alpha1.AnnotationUnansweredPods], ",")
	if want := []string{"shop/echo-former", "shop/echo-silent"}; !slices.Equal(closedNames(l), names) || !slices.Equal(sorted(missing), want) {
		t.Errorf("listed %v without %v, want %v without %v", closedNames(l), missing, names, want)
	}
	if warning := a.header.Get("Warning"); !strings.HasPrefix(warning, "299 ") || !strings.Contains(warning, "shop/echo-silent") || !strings.Contains(warning, "shop/echo-former") {
		t.Errorf("warning %q", warning)
	}
	for _, p := range []*pod{silent, former} {
		name := string(p.id) + "-00000000"
		for _, at := range []string{closedPath("shop", name), closedPath("shop") + "?fieldSelector=metadata.name%3D" + name} {
			a := r.get(at)
			s := a.refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
			if !strings.Contains(s.Message, p.name) || s.Details.Kind != "closedwebsocketconnections" || a.header.Get("Retry-After") == "" {
				t.Errorf("%s: %+v, Retry-After %q", at, s, a.header.Get("Retry-After"))
			}
			if p == former && !strings.Contains(s.Message, "of an older release") {
				t.Errorf("%s: %s", at, s.Message)
			}
		}
	}
}

func TestTheClosedAreOnlyRead(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	p.end(ending("Client", "ClientClose", 1000, ""), name)
	for _, c := range []call{
		{path: closedPath("shop") + "?watch=1"},
		{path: closedPath("shop") + "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"},
		{method: http.MethodDelete, path: closedPath("shop", name)},
		{method: http.MethodDelete, path: closedPath("shop")},
		{method: http.MethodPost, path: closedPath("shop"), body: "{}"},
		{method: http.MethodPut, path: closedPath("shop", name), body: "{}"},
	} {
		r.call(c).refusal(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "")
	}
	r.call(call{path: closedPath("shop"), user: "nobody"}).refusal(http.StatusForbidden, metav1.StatusReasonForbidden, "")
}

func TestTheClosedAsTables(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	how := ending("Upstream", "UpstreamClose", 1011, "")
	how.Undelivered = 2
	p.end(how, name)
	for _, at := range []string{closedPath("shop"), closedPath("shop", name)} {
		var table metav1.Table
		r.call(call{path: at, accept: asTable}).into(http.StatusOK, &table)
		if table.Kind != "Table" || len(table.Rows) != 1 || table.ResourceVersion == "" {
			t.Fatalf("%s: %+v", at, table)
		}
		var columns, cells []string
		for i, c := range table.ColumnDefinitions {
			wide := strings.Repeat("*", int(c.Priority))
			columns = append(columns, c.Name+wide)
			cells = append(cells, fmt.Sprint(table.Rows[0].Cells[i]))
		}
		if got, want := strings.Join(columns, " "), "Name Proxy Client By Cause Code Reason Lasted Age Path* Messages* Bytes* Lost* Upstream* Pod* User-Agent*"; got != want {
			t.Errorf("columns %s, want %s", got, want)
		}
		cells[8] = "AGE"
		if got, want := strings.Join(cells, "|"), name+"|echo|192.0.2.0|Upstream|UpstreamClose|1011|<none>|60s|AGE|/chat/0|1 / 12.3k|100B / 5.0Mi|2 / 0|10.0.0.7:8080|echo-a|test/1.0"; got != want {
			t.Errorf("cells\n%s, want\n%s", got, want)
		}
		var partial metav1.PartialObjectMetadata
		if err := json.Unmarshal(table.Rows[0].Object.Raw, &partial); err != nil || partial.Name != name || partial.Kind != "PartialObjectMetadata" {
			t.Errorf("row of %s: %v", table.Rows[0].Object.Raw, err)
		}
	}
	var table metav1.Table
	r.call(call{path: closedPath("other"), accept: asTable}).into(http.StatusOK, &table)
	if table.Rows == nil || len(table.Rows) > 0 {
		t.Errorf("a table of nothing has the rows %v", table.Rows)
	}
	var l metav1.PartialObjectMetadataList
	r.call(call{path: closedPath("shop"), accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}).into(http.StatusOK, &l)
	if len(l.Items) != 1 || l.Items[0].Name != name {
		t.Errorf("%+v", l)
	}
}
