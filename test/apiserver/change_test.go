// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// wellFormed is a name that somebody might have had.
const wellFormed = "k5dfau6e5kgemg63i-00000011"

func TestGet(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(3)[1]
	for _, at := range []string{path("shop", name), path("shop", name, "status")} {
		c := r.get(at).object(http.StatusOK)
		if c.Name != name || c.Namespace != "shop" || string(c.UID) != p.entries[name].ID().UID() || c.ResourceVersion == "" {
			t.Errorf("metadata %+v", c.ObjectMeta)
		}
		if c.Labels["wsproxy.io/proxy"] != "echo" || c.Labels["wsproxy.io/pod"] != "echo-a" || len(c.OwnerReferences)+len(c.Finalizers) > 0 {
			t.Errorf("metadata %+v", c.ObjectMeta)
		}
		if c.Spec.Proxy != "echo" || c.Spec.Pod != "echo-a" || c.Spec.Client.SourceIP != "192.0.2.1" || c.Spec.Path != "/chat/1" {
			t.Errorf("spec %+v", c.Spec)
		}
		if !c.Spec.ConnectedAt.Time.Equal(p.connections[name].since.Truncate(time.Microsecond)) {
			t.Errorf("connected at %v, want %v", c.Spec.ConnectedAt, p.connections[name].since)
		}
		if c.Status.Phase != connectionsv1alpha1.ConnectionOpen || c.Status.FromUpstream.Messages != 12345 || c.DeletionTimestamp != nil {
			t.Errorf("status %+v", c.Status)
		}
	}
	for _, unknown := range []string{wellFormed, "chat", name[:17] + "-0000000v", strings.ToUpper(name)} {
		if s := r.get(path("shop", unknown)).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, ""); s.Details.Name != unknown || s.Details.Kind != "websocketconnections" {
			t.Errorf("details %+v", s.Details)
		}
	}
	r.get(path("other", name)).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
}

func TestDeleteEndsExactlyOne(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(100)
	name := names[42]
	before := r.get(path("shop", name)).object(http.StatusOK)
	c := r.call(call{method: http.MethodDelete, path: path("shop", name)}).object(http.StatusOK)
	if c.UID != before.UID || c.DeletionTimestamp == nil || c.Status.Phase != connectionsv1alpha1.ConnectionClosing || c.ResourceVersion <= before.ResourceVersion {
		t.Errorf("it answers with %+v", c)
	}
	want := registry.Disconnect{Code: 1000, Reason: "disconnected by an administrator", Grace: 5 * time.Second, User: "alice"}
	if how, _ := p.connections[name].ended(); how != want {
		t.Errorf("ended with %+v, want %+v", how, want)
	}
	if got := p.ended(); !slices.Equal(got, []string{name}) {
		t.Errorf("ended %v", got)
	}
	again := r.call(call{method: http.MethodDelete, path: path("shop", name)}).object(http.StatusOK)
	if !again.DeletionTimestamp.Equal(c.DeletionTimestamp) {
		t.Errorf("deleted again at %v, want %v", again.DeletionTimestamp, c.DeletionTimestamp)
	}
	p.registry.Remove(p.entries[name])
	r.call(call{method: http.MethodDelete, path: path("shop", name)}).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
}

func TestDeleteOptions(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(10)
	uid := types.UID(p.entries[names[0]].ID().UID())
	version := r.get(path("shop", names[0])).object(http.StatusOK).ResourceVersion
	ask := func(options metav1.DeleteOptions) answer {
		options.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}
		return r.call(call{method: http.MethodDelete, path: path("shop", names[0]), body: options})
	}
	conflict := func(options metav1.DeleteOptions) {
		t.Helper()
		ask(options).refusal(http.StatusConflict, metav1.StatusReasonConflict, "")
	}
	conflict(metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: new(types.UID("another"))}})
	conflict(metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: new("1")}})
	conflict(metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: new(types.UID("another"))}, DryRun: []string{"All"}})
	ask(metav1.DeleteOptions{GracePeriodSeconds: new(int64(3601))}).refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "gracePeriodSeconds")
	ask(metav1.DeleteOptions{DryRun: []string{"Some"}}).refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "dryRun")
	if c := ask(metav1.DeleteOptions{DryRun: []string{"All"}}).object(http.StatusOK); c.Name != names[0] {
		t.Errorf("dry run of %s", c.Name)
	}
	if got := p.ended(); len(got) > 0 {
		t.Fatalf("ended %v", got)
	}
	ask(metav1.DeleteOptions{
		GracePeriodSeconds: new(int64(7)),
		Preconditions:      &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
	}).object(http.StatusOK)
	if how, _ := p.connections[names[0]].ended(); how.Grace != 7*time.Second {
		t.Errorf("ended with %+v", how)
	}
	r.call(call{method: http.MethodDelete, path: path("shop", names[1]) + "?gracePeriodSeconds=0"}).object(http.StatusOK)
	if how, was := p.connections[names[1]].ended(); !was || how.Grace > 10*time.Millisecond {
		t.Errorf("ended: %v, with %+v", was, how)
	}
}

func TestDisconnect(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(10)
	ask := func(name, query string, body any) answer {
		t.Helper()
		return r.call(call{method: http.MethodPost, path: path("shop", name, "disconnect") + query, body: body})
	}
	code, reason, grace := int32(4001), strings.Repeat("ä", 61)+"!", int64(9)
	wish := connectionsv1alpha1.WebSocketDisconnect{Code: &code, Reason: &reason, GracePeriodSeconds: &grace}
	wish.UID = types.UID(p.entries[names[0]].ID().UID())
	ask(names[0], "?dryRun=All", wish).object(http.StatusCreated)
	if _, was := p.connections[names[0]].ended(); was {
		t.Fatal("a dry run ended it")
	}
	c := ask(names[0], "", wish).object(http.StatusCreated)
	if c.Name != names[0] || c.DeletionTimestamp == nil || c.Status.Phase != connectionsv1alpha1.ConnectionClosing {
		t.Errorf("it answers with %+v", c)
	}
	want := registry.Disconnect{Code: 4001, Reason: reason, Grace: 9 * time.Second, User: "alice"}
	if how, _ := p.connections[names[0]].ended(); how != want {
		t.Errorf("ended with %+v, want %+v", how, want)
	}
	if s := ask(names[0], "", wish).refusal(http.StatusConflict, metav1.StatusReasonConflict, ""); !strings.Contains(s.Message, "closing already") {
		t.Error(s.Message)
	}
	ask(names[0], "?dryRun=All", wish).refusal(http.StatusConflict, metav1.StatusReasonConflict, "")
	// Who deletes is content with that.
	r.call(call{method: http.MethodDelete, path: path("shop", names[0]) + "?dryRun=All"}).object(http.StatusOK)
	wish.UID = "another"
	ask(names[1], "", wish).refusal(http.StatusConflict, metav1.StatusReasonConflict, "")
	ask(names[2], "", "{}").object(http.StatusCreated)
	want = registry.Disconnect{Code: 1000, Reason: "disconnected by an administrator", Grace: 5 * time.Second, User: "alice"}
	if how, _ := p.connections[names[2]].ended(); how != want {
		t.Errorf("ended with %+v, want %+v", how, want)
	}
	if got := len(p.ended()); got != 2 {
		t.Errorf("%d were ended", got)
	}
	ask(wellFormed, "", "{}").refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
}

func TestDisconnectsThatCannotBe(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	for _, c := range []struct{ name, body, field string }{
		{name, `{"code":1005}`, "code"},
		{name, `{"code":1006}`, "code"},
		{name, `{"code":1004}`, "code"},
		{name, `{"code":1015}`, "code"},
		{name, `{"code":999}`, "code"},
		{name, `{"code":0}`, "code"},
		{name, `{"code":5000}`, "code"},
		{name, `{"reason":"` + strings.Repeat("x", 124) + `"}`, "reason"},
		{name, `{"reason":"` + strings.Repeat("ä", 62) + `"}`, "reason"},
		{name, `{"gracePeriodSeconds":-1}`, "gracePeriodSeconds"},
		{name, `{"gracePeriodSeconds":3601}`, "gracePeriodSeconds"},
		{name, `{"metadata":{"name":"another"}}`, "metadata.name"},
		{"chat", `{}`, "metadata.name"},
	} {
		r.call(call{method: http.MethodPost, path: path("shop", c.name, "disconnect"), body: c.body}).
			refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, c.field)
	}
	r.call(call{method: http.MethodDelete, path: path("shop", "chat")}).
		refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "metadata.name")
	for _, body := range []string{`{"code":"x"}`, `{`, `{"kind":"Pod","apiVersion":"v1"}`} {
		r.call(call{method: http.MethodPost, path: path("shop", name, "disconnect"), body: body}).
			refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
	}
	for _, query := range []string{"", "?dryRun=All", "?fieldValidation=Strict"} {
		s := r.call(call{method: http.MethodPost, path: path("shop", name, "disconnect") + query, body: `{"reasn":"typo"}`}).
			refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
		if !strings.Contains(s.Message, `unknown field "reasn"`) {
			t.Errorf("%q: %s", query, s.Message)
		}
	}
	if got := p.ended(); len(got) > 0 {
		t.Errorf("ended %v", got)
	}
	// Who insists gets what Kubernetes does elsewhere.
	r.call(call{method: http.MethodPost, path: path("shop", name, "disconnect") + "?fieldValidation=Ignore", body: `{"reasn":"typo"}`}).object(http.StatusCreated)
}

func TestDeleteCollection(t *testing.T) {
	r := newRoom(t)
	a, b, c := r.pod("shop", "echo", "echo-a"), r.pod("shop", "chat", "chat-a"), r.pod("other", "echo", "echo-b")
	inA := a.connect(250)
	b.connect(50)
	c.connect(10)
	ask := func(query string) []string {
		t.Helper()
		return namesOf(r.call(call{method: http.MethodDelete, path: path("shop") + query}).list())
	}
	if got := ask("?labelSelector=wsproxy.io/proxy%3Decho&dryRun=All"); !slices.Equal(got, sorted(inA)) || len(a.ended()) > 0 {
		t.Errorf("a dry run lists %d and ended %d", len(got), len(a.ended()))
	}
	if got := ask("?labelSelector=wsproxy.io/proxy%3Decho&limit=100"); !slices.Equal(got, inA[:100]) || !slices.Equal(sorted(a.ended()), inA[:100]) {
		t.Errorf("a page lists %d and ended %d", len(got), len(a.ended()))
	}
	if got := ask("?labelSelector=wsproxy.io/proxy%3Decho"); !slices.Equal(got, inA) || len(a.ended()) != 250 || len(b.ended())+len(c.ended()) > 0 {
		t.Errorf("lists %d and ended %d, %d and %d", len(got), len(a.ended()), len(b.ended()), len(c.ended()))
	}
	if got := ask("?fieldSelector=spec.sourceIP%3D192.0.2.3"); len(got) != 30 || len(b.ended()) != 5 {
		t.Errorf("lists %d and ended %d", len(got), len(b.ended()))
	}
	if got := ask(""); len(got) != 300 || len(b.ended()) != 50 || len(c.ended()) > 0 {
		t.Errorf("lists %d and ended %d and %d", len(got), len(b.ended()), len(c.ended()))
	}
}

func TestWhatIsNotOffered(t *testing.T) {
	r := newRoom(t)
	name := r.pod("shop", "echo", "echo-a").connect(1)[0]
	for _, c := range []call{
		{method: http.MethodPost, path: path("shop"), body: "{}"},
		{method: http.MethodPut, path: path("shop", name), body: "{}"},
		{method: http.MethodPatch, path: path("shop", name), body: "{}"},
		{method: http.MethodPut, path: path("shop", name, "status"), body: "{}"},
		{method: http.MethodGet, path: path("shop", name, "disconnect")},
		{method: http.MethodDelete, path: path("")},
	} {
		if got := r.call(c); got.code != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %d", c.method, c.path, got.code)
		}
	}
}

func TestWhoMayNotIsTold(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	for _, c := range []call{
		{path: path("shop")}, {path: path("shop", name)},
		{method: http.MethodDelete, path: path("shop", name)}, {method: http.MethodDelete, path: path("shop")},
		{method: http.MethodPost, path: path("shop", name, "disconnect"), body: "{}"},
	} {
		c.user = "nobody"
		r.call(c).refusal(http.StatusForbidden, metav1.StatusReasonForbidden, "")
	}
	if len(p.ended()) > 0 {
		t.Error("nobody ended it")
	}
}
