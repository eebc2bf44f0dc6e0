// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// get reads a connection that no other row ends.
func (c *mappingTry) get(name string) (*connectionsv1alpha1.WebSocketConnection, reply) {
	c.t.Helper()
	got := c.viewer.must(c.t, http.MethodGet, connectionPath(c.namespace, name), "")
	return got.connection(c.t, http.StatusOK), got
}

func (c *mappingTry) gets() {
	name := c.names[0]
	if got := c.sends(c.viewer, "NAME", name).connection(c.t, http.StatusOK); got.Name != name {
		c.t.Errorf("it is %s, want %s", got.Name, name)
	}
	var printed connectionsv1alpha1.WebSocketConnection
	if err := json.Unmarshal([]byte(c.types(c.viewer, "NAME", name)), &printed); err != nil || printed.Kind != "WebSocketConnection" || printed.Name != name {
		c.t.Errorf("kubectl prints %s %q: %v", printed.Kind, printed.Name, err)
	}
}

// says sends to a client that has nothing else to read.
func (c *mappingTry) says() {
	conn, name := c.mute(c.echo)
	c.sends(c.messenger, "NAME", name)
	if out := c.types(c.messenger, "NAME", name); !strings.Contains(out, "Success") {
		c.t.Error(out)
	}
	for range 2 {
		if kind, got, err := conn.ReadMessage(); err != nil || kind != websocket.TextMessage || string(got) != "hello" {
			c.t.Errorf("the client reads %q of type %d: %v", got, kind, err)
		}
	}
	if err := conn.Close(); err != nil {
		c.t.Error(err)
	}
}

// closing fails unless that is the connection as it closes.
func (c *mappingTry) closing(got *connectionsv1alpha1.WebSocketConnection, name string) {
	c.t.Helper()
	if got.Name != name || got.DeletionTimestamp == nil || got.Status.Phase != connectionsv1alpha1.ConnectionClosing {
		c.t.Errorf("it answers with %+v, want %s as it closes", got, name)
	}
}

func (c *mappingTry) deletes() {
	name := c.next()
	c.closing(c.sends(c.operator, "NAME", name).connection(c.t, http.StatusOK), name)
	c.hears(name, byAdministrator)
	name = c.next()
	if out := c.types(c.operator, "NAME", name); strings.Count(out, "deleted") != 1 || !strings.Contains(out, name) {
		c.t.Error(out)
	}
	c.hears(name, byAdministrator)
}

func (c *mappingTry) disconnects() {
	how := end{4000, "bye"}
	name := c.next()
	c.closing(c.sends(c.operator, "NAME", name).connection(c.t, http.StatusCreated), name)
	c.hears(name, how)
	name = c.next()
	if out := c.types(c.operator, "NAME", name); !strings.Contains(out, name) {
		c.t.Error(out)
	}
	c.hears(name, how)
}

func (c *mappingTry) deletesSeveral() {
	name, another := c.next(), c.next()
	if out := c.types(c.operator, "NAME", name, "ANOTHER", another); strings.Count(out, "deleted") != 2 {
		c.t.Error(out)
	}
	c.hears(name, byAdministrator)
	c.hears(another, byAdministrator)
}

func (c *mappingTry) knowsNobody() {
	forged := newAccount(c.t, "x.y.z")
	c.sends(forged, "NAME", c.names[0])
	c.types(forged, "NAME", c.names[0])
}

func (c *mappingTry) needsAToken() {
	got := c.sendsAnyhow(newAccount(c.t, ""), "NAME", c.names[0])
	if got.code == http.StatusForbidden && strings.Contains(got.status.Message, `User "system:anonymous" cannot`) {
		return
	}
	if code, reason := c.expected(); got.code != code || got.status.Reason != reason {
		c.t.Errorf("%d %s: %s", got.code, got.status.Reason, got.body)
	}
}

func (c *mappingTry) forbids() {
	c.sends(c.viewer, "NAME", c.names[0])
	c.types(c.viewer, "NAME", c.names[0])
}

// findsNone is for connections and for proxies.
func (c *mappingTry) findsNone() {
	const proxy = "MyWebSocketAPI"
	name, wanted := c.notIssued(), c.notIssued()
	if strings.Contains(c.row.http, "PROXIES") {
		wanted = proxy
	}
	if got := c.sends(c.operator, "NAME", name, "PROXY", proxy); got.status.Details.Name != wanted {
		c.t.Errorf("details.name is %q, want %q", got.status.Details.Name, wanted)
	}
	c.types(c.operator, "NAME", name, "PROXY", proxy)
}

// names fails unless the error names that field.
func (c *mappingTry) namesField(got reply, field string) {
	c.t.Helper()
	for _, cause := range got.status.Details.Causes {
		if cause.Field == field {
			return
		}
	}
	c.t.Errorf("it does not name %s: %s", field, got.body)
}

func (c *mappingTry) refusesTheName() {
	// One more than the other system would take.
	name := strings.Repeat("0", 51)
	c.namesField(c.sends(c.operator, "NAME", name), "metadata.name")
	if out := c.types(c.operator, "NAME", name); !strings.Contains(out, "metadata.name") {
		c.t.Error(out)
	}
}

func (c *mappingTry) refusesTheSize() {
	c.sends(c.messenger, "NAME", c.names[0], "TEXT", strings.Repeat("x", connectionsv1alpha1.MaxMessageBytes+1))
}

// closesAll ends the connections of a proxy that nothing else uses.
func (c *mappingTry) closesAll() {
	for _, end := range []func(){
		func() { c.sends(c.operator) },
		func() { c.types(c.operator) },
	} {
		conn, _ := c.mute(c.chat)
		end()
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			c.t.Errorf("the client is told %v", err)
		}
	}
}

// throttles lets somebody send until it is too much.
func (c *mappingTry) throttles() {
	_, name, _ := strings.Cut(c.row.test, "/")
	hasty := c.account("hasty-"+strings.ReplaceAll(name, "/", "-"), operatorRole)
	// Nothing has this name, which costs as much.
	unknown, names := c.notIssued(), make(chan string)
	refusals := make(chan reply, 1)
	var sending sync.WaitGroup
	for range 50 {
		sending.Go(func() {
			for name := range names {
				got, err := c.asks(c.t.Context(), hasty, "NAME", name)
				if err == nil && got.code != http.StatusNotFound {
					select {
					case refusals <- got:
					default:
					}
				}
			}
		})
	}
	for n := 0; n < 10000 && len(refusals) == 0; n++ {
		names <- unknown
	}
	close(names)
	sending.Wait()
	if len(refusals) == 0 {
		c.t.Fatal("nothing was too much")
	}
	got := <-refusals
	got.refuses(c.t, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, tooManyChanges)
	if code, reason := c.expected(); got.code != code || got.status.Reason != reason {
		c.t.Errorf("the row says %d %s", code, reason)
	}
	if after := got.header.Get("Retry-After"); after == "" || after != strconv.Itoa(int(got.status.Details.RetryAfterSeconds)) {
		c.t.Errorf("Retry-After is %q: %s", after, got.body)
	}
	// And nobody else is told to wait.
	c.sendsAnyhow(c.operator, "NAME", unknown).refuses(c.t, http.StatusNotFound, metav1.StatusReasonNotFound, unknown)
}

func (c *mappingTry) hasID() {
	name := c.names[0]
	if got, _ := c.get(name); got.Name != name || len(got.Name) > 50 {
		c.t.Errorf("metadata.name is %q, of the connection that the client calls %s", got.Name, name)
	}
	if dataplanev1alpha1.NameLength > 50 {
		c.t.Errorf("names have %d characters", dataplanev1alpha1.NameLength)
	}
}

func (c *mappingTry) hasProxy() {
	if got, _ := c.get(c.names[0]); got.Spec.Proxy != c.echo.Name || got.Namespace != c.namespace {
		c.t.Errorf("spec.proxy is %q in %q", got.Spec.Proxy, got.Namespace)
	}
}

func (c *mappingTry) hasSourceIP() {
	if got, _ := c.get(c.names[0]); got.Spec.Client.SourceIP != elsewhere {
		c.t.Errorf("spec.client.sourceIP is %q, want %s", got.Spec.Client.SourceIP, elsewhere)
	}
}

func (c *mappingTry) hasUserAgent() {
	if got, _ := c.get(c.names[0]); got.Spec.Client.UserAgent != mappingUserAgent {
		c.t.Errorf("spec.client.userAgent is %q, want %s", got.Spec.Client.UserAgent, mappingUserAgent)
	}
}

// aTime is how a field with a time reads.
func aTime(field string) *regexp.Regexp {
	return regexp.MustCompile(`"` + field + `":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"`)
}

func (c *mappingTry) hasConnectedAt() {
	got, raw := c.get(c.names[0])
	if at := got.Spec.ConnectedAt; at.Before(&metav1.MicroTime{Time: c.clients.Report().Started}) || at.After(c.record(got.Name).Opened) {
		c.t.Errorf("spec.connectedAt is %v, the client was let in at %v", at, c.record(got.Name).Opened)
	}
	if !aTime("connectedAt").Match(raw.body) {
		c.t.Errorf("spec.connectedAt is no time with microseconds: %s", raw.body)
	}
}

func (c *mappingTry) hasLastActiveAt() {
	before, raw := c.get(c.names[0])
	if !aTime("lastActiveAt").Match(raw.body) {
		c.t.Errorf("status.lastActiveAt is no time with microseconds: %s", raw.body)
	}
	said := time.Now()
	heard := c.record(before.Name).Received
	for deadline := said.Add(time.Minute); c.record(before.Name).Received <= heard+1; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatal("the client is not answered")
		}
	}
	after, _ := c.get(before.Name)
	if !after.Status.LastActiveAt.After(before.Status.LastActiveAt.Time) || after.Status.LastActiveAt.Time.Before(said) {
		c.t.Errorf("status.lastActiveAt was %v and is %v, after an answer that came after %v", before.Status.LastActiveAt, after.Status.LastActiveAt, said)
	}
}

func (c *mappingTry) tellsTheClient() {
	conn, name := c.mute(c.echo)
	if got, _ := c.get(name); got.Name != name {
		c.t.Errorf("the client was told %q", name)
	}
	if err := conn.Close(); err != nil {
		c.t.Error(err)
	}
}

// closes opens a connection whose client does not answer, lets somebody end it,
// and returns it as it closes.
func (c *mappingTry) closes() (conn *websocket.Conn, closing *connectionsv1alpha1.WebSocketConnection) {
	c.t.Helper()
	conn, name := c.mute(c.echo)
	got := c.operator.must(c.t, http.MethodPost, connectionPath(c.namespace, name, "disconnect"), `{"code":4001,"reason":"the first","gracePeriodSeconds":3600}`)
	return conn, got.connection(c.t, http.StatusCreated)
}

// hearsTheFirst fails unless the client of closes is told what was asked first.
func (c *mappingTry) hearsTheFirst(conn *websocket.Conn) {
	c.t.Helper()
	_, _, err := conn.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); !ok || closed.Code != 4001 || closed.Text != "the first" {
		c.t.Errorf("the client reads %v, want 4001 %q", err, "the first")
	}
}

func (c *mappingTry) isClosing() {
	conn, closing := c.closes()
	if got := c.sends(c.operator, "NAME", closing.Name); got.status.Details.Name != closing.Name {
		c.t.Errorf("details.name is %q: %s", got.status.Details.Name, got.body)
	}
	c.types(c.operator, "NAME", closing.Name)
	c.hearsTheFirst(conn)
}

func (c *mappingTry) deletesAgain() {
	conn, closing := c.closes()
	got := c.sends(c.operator, "NAME", closing.Name).connection(c.t, http.StatusOK)
	if got.UID != closing.UID || !got.DeletionTimestamp.Equal(closing.DeletionTimestamp) {
		c.t.Errorf("it answers with %+v, want %+v", got.ObjectMeta, closing.ObjectMeta)
	}
	c.types(c.operator, "NAME", closing.Name)
	c.hearsTheFirst(conn)
}
