// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// sends POSTs a message.
func (r *room) sends(name, query, body string) answer {
	r.Helper()
	return r.call(call{method: http.MethodPost, path: path("shop", name, "send") + query, body: body})
}

// succeeds fails unless that is a Status that says so.
func (a answer) succeeds() {
	a.Helper()
	var s metav1.Status
	if a.into(http.StatusCreated, &s); s.Kind != "Status" || s.Status != metav1.StatusSuccess || s.Code != http.StatusCreated {
		a.Errorf("it answers with %s", a.body)
	}
}

func TestSend(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	for body, want := range map[string]registry.Send{
		`{"text":"héllo"}`:                                     {Payload: []byte("héllo")},
		`{"type":"Text","text":""}`:                            {},
		`{"type":"Text","data":"aMOpbGxv"}`:                    {Payload: []byte("héllo")},
		`{"type":"Binary","data":"/wA="}`:                      {Payload: []byte{0xff, 0}, Binary: true},
		`{"data":"/wA="}`:                                      {Payload: []byte{0xff, 0}, Binary: true},
		`{"data":""}`:                                          {Binary: true},
		`{"text":"` + strings.Repeat(`\u0001`, 128<<10) + `"}`: {Payload: []byte(strings.Repeat("\x01", 128<<10))},
		`{"kind":"WebSocketSend","apiVersion":"connections.wsproxy.io/v1alpha1","text":"x"}`: {Payload: []byte("x")},
	} {
		name := p.connect(1)[0]
		r.sends(name, "?dryRun=All", body).succeeds()
		if got := p.connections[name].messages(); len(got) > 0 {
			t.Fatalf("a dry run sent %d", len(got))
		}
		r.sends(name, "", body).succeeds()
		got := p.connections[name].messages()
		if len(got) != 1 || string(got[0].Payload) != string(want.Payload) || got[0].Binary != want.Binary {
			t.Errorf("%.60s: sent %d messages, want %.60q", body, len(got), want.Payload)
		}
	}
	name := p.connect(1)[0]
	uid, version := p.entries[name].ID().UID(), r.get(path("shop", name)).object(http.StatusOK).ResourceVersion
	r.sends(name, "", fmt.Sprintf(`{"metadata":{"uid":%q,"resourceVersion":%q,"name":%q},"text":"x"}`, uid, version, name)).succeeds()
	r.sends(name, "", `{"metadata":{"uid":"another"},"text":"x"}`).refusal(http.StatusConflict, metav1.StatusReasonConflict, "")
	r.sends(name, "", `{"metadata":{"resourceVersion":"1"},"text":"x"}`).refusal(http.StatusConflict, metav1.StatusReasonConflict, "")
	r.sends(wellFormed, "", `{"text":"x"}`).refusal(http.StatusNotFound, metav1.StatusReasonNotFound, "")
	r.call(call{method: http.MethodPost, path: path("shop", name, "send"), body: `{"text":"x"}`, user: "nobody"}).
		refusal(http.StatusForbidden, metav1.StatusReasonForbidden, "")
	r.call(call{method: http.MethodPost, path: path("shop", name, "disconnect"), body: "{}"}).object(http.StatusCreated)
	r.sends(name, "", `{"text":"x"}`).refusal(http.StatusConflict, metav1.StatusReasonConflict, "")
	r.sends(name, "?dryRun=All", `{"text":"x"}`).refusal(http.StatusConflict, metav1.StatusReasonConflict, "")
	if got := p.connections[name].messages(); len(got) != 1 {
		t.Errorf("sent %d", len(got))
	}
}

// Nothing of the payload is in an answer: answers are in audit logs.
func TestMessagesThatCannotBe(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	secret := func(a answer) answer {
		t.Helper()
		if strings.Contains(string(a.body), "secret") || strings.Contains(string(a.body), "c2Vjc") {
			t.Errorf("it tells what was to be sent: %s", a.body)
		}
		return a
	}
	for _, c := range []struct{ name, body, field string }{
		{name, `{}`, "data"},
		{name, `{"type":"Text"}`, "data"},
		{name, `{"type":"Text","data":"` + base64.StdEncoding.EncodeToString([]byte("secret\xff")) + `"}`, "data"},
		{name, `{"type":"Binary","text":"secret"}`, "text"},
		{name, `{"text":"secret","data":"c2VjcmV0"}`, "text"},
		{name, `{"type":"TEXT","text":"secret"}`, "type"},
		{name, `{"metadata":{"name":"another"},"text":"secret"}`, "metadata.name"},
		{"chat", `{"text":"secret"}`, "metadata.name"},
	} {
		secret(r.sends(c.name, "", c.body)).refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, c.field)
	}
	for _, body := range []string{
		``, `{`, `"secret"`, `{"text":"secret"`, "{\"text\":\"secret\xff\"}", `{"text":{"secret":1}}`, `{"data":"secret!"}`, `secret`,
		`{"kind":"Pod","apiVersion":"v1","text":"secret"}`, `{"txt":"secret"}`,
	} {
		secret(r.sends(name, "", body)).refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
	}
	for _, body := range []string{`{"text":"` + strings.Repeat("s", 128<<10+1) + `"}`, `{"data":"` + strings.Repeat("AAAA", 1<<20) + `"}`} {
		r.sends(name, "", body).refusal(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "")
	}
	if got := p.connections[name].messages(); len(got) > 0 {
		t.Errorf("sent %d", len(got))
	}
	r.sends(name, "?fieldValidation=Ignore", `{"txt":"not this","text":"this"}`).succeeds()
}

func TestMessagesThatAreNotSent(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	for why, want := range map[error]struct {
		code   int
		reason metav1.StatusReason
		again  bool
	}{
		registry.ErrInDoubt:    {http.StatusGatewayTimeout, metav1.StatusReasonTimeout, false},
		registry.ErrNotTaken:   {http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, true},
		registry.ErrConnecting: {http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, true},
		registry.ErrTooMany:    {http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, true},
		registry.ErrTooBig:     {http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, false},
		registry.ErrExtension:  {http.StatusConflict, metav1.StatusReasonConflict, false},
		registry.ErrClosing:    {http.StatusConflict, metav1.StatusReasonConflict, false},
	} {
		p.connections[name].refuse(why)
		a := r.sends(name, "", `{"text":"x"}`)
		a.refusal(want.code, want.reason, "")
		if after := a.header.Get("Retry-After"); (after != "") != want.again {
			t.Errorf("%v: Retry-After %q: %s", why, after, a.body)
		}
	}
	p.connections[name].refuse(nil)
	r.sends(name, "", `{"text":"x"}`).succeeds()
}

// Messages have a bucket of their own, and each user has.
func TestAFloodOfMessages(t *testing.T) {
	r := newRoom(t, func(c *apiserver.Config) { c.Sends.PerSecond, c.Sends.Burst = 0.001, 10 })
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	as := func(user string) answer {
		return r.call(call{method: http.MethodPost, path: path("shop", name, "send"), user: user, body: `{"text":"x"}`})
	}
	for range 10 {
		as("mallory").succeeds()
	}
	a := as("mallory")
	s := a.refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "")
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 || !strings.Contains(s.Message, "too many messages by this user") {
		t.Errorf("Retry-After %q: %s", a.header.Get("Retry-After"), s.Message)
	}
	as("alice").succeeds()
	r.call(call{method: http.MethodPost, path: path("shop", name, "disconnect"), user: "mallory", body: "{}"}).object(http.StatusCreated)
}

// A pod that has got a message and not answered may have sent it; one of a version
// that cannot send has not.
func TestAMessageOfWhichNobodyKnows(t *testing.T) {
	r := newRoom(t, podTimeout(200*time.Millisecond))
	got := make(chan *dataplanev1alpha1.SendRequest, 1)
	p := newPod("shop", "echo", "echo-a", someUID())
	r.run(p, &dataplanev1alpha1.UnimplementedConnectionsServer{},
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			got <- request.(*dataplanev1alpha1.SendRequest)
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	before := time.Now()
	a := r.sends(string(p.id)+"-00000000", "", `{"text":"x"}`)
	s := a.refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "")
	if !strings.Contains(s.Message, "may still happen") || a.header.Get("Retry-After") != "" {
		t.Errorf("Retry-After %q: %s", a.header.Get("Retry-After"), s.Message)
	}
	asked := <-got
	if until := asked.GetNotAfter().AsTime(); until.Before(before.Add(5*time.Second)) || asked.GetPatienceMilliseconds() != 100 {
		t.Errorf("not after %v, asked at %v; patience %d ms", until, before, asked.GetPatienceMilliseconds())
	}

	old := newPod("shop", "echo", "echo-b", someUID())
	r.run(old, &dataplanev1alpha1.UnimplementedConnectionsServer{})
	a = r.sends(string(old.id)+"-00000000", "", `{"text":"x"}`)
	a.refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// everything is an audit policy that keeps all bodies.
type everything struct{}

func (everything) EvaluatePolicyRule(authorizer.Attributes) audit.RequestAuditConfig {
	return audit.RequestAuditConfig{Level: auditinternal.LevelRequestResponse}
}

// memory is an audit log.
type memory struct {
	audit.Backend

	mu     sync.Mutex
	events []*auditinternal.Event // guarded by mu
}

func (m *memory) ProcessEvents(events ...*auditinternal.Event) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		m.events = append(m.events, e.DeepCopy())
	}
	return true
}

func (*memory) Run(<-chan struct{}) error { return nil }
func (*memory) Shutdown()                 {}

func TestAuditLogsDoNotSayWhatIsSent(t *testing.T) {
	log := &memory{}
	r := newRoom(t, func(c *apiserver.Config) {
		c.Generic.AuditBackend, c.Generic.AuditPolicyRuleEvaluator = log, everything{}
	})
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	r.sends(name, "", `{"text":"secret"}`).succeeds()
	r.sends(name, "", `{"text":"secret"`).refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest, "")
	r.call(call{method: http.MethodPost, path: path("shop", name, "disconnect"), body: `{"reason":"no secret"}`}).object(http.StatusCreated)
	var kept [2]int
	r.until("it is logged", func() bool {
		log.mu.Lock()
		defer log.mu.Unlock()
		kept = [2]int{}
		for _, e := range log.events {
			if e.Stage != auditinternal.StageResponseComplete || e.ObjectRef == nil || e.ObjectRef.Name != name {
				continue
			}
			if e.ObjectRef.Subresource == "disconnect" {
				kept[1]++
				if e.RequestObject == nil {
					t.Error("the policy is not obeyed")
				}
				continue
			}
			kept[0]++
			if e.RequestObject != nil || e.ResponseObject != nil || e.User.Username != "alice" || strings.Contains(fmt.Sprintf("%+v", e), "secret") {
				t.Errorf("it says %+v", e)
			}
		}
		return kept == [2]int{2, 1}
	})
}
