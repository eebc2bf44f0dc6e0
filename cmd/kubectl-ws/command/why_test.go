// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

const closedPath = "/apis/connections.wsproxy.io/v1alpha1/namespaces/shop/closedwebsocketconnections/"

// begin is when the connections of these tests came.
var begin = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func closedConnection() *connectionsv1alpha1.ClosedWebSocketConnection {
	c := &connectionsv1alpha1.ClosedWebSocketConnection{}
	c.APIVersion, c.Kind = connectionsv1alpha1.GroupVersion.String(), "ClosedWebSocketConnection"
	c.Namespace, c.Name = "shop", "pod-0001"
	c.Spec = connectionsv1alpha1.WebSocketConnectionSpec{
		Proxy: "chat", Pod: "chat-wsproxy-1", Path: "/room",
		Client:      connectionsv1alpha1.Client{SourceIP: "192.0.2.1", UserAgent: "agent\x1b[2J", Origin: "https://shop.example"},
		ConnectedAt: metav1.NewMicroTime(begin),
	}
	c.Status = connectionsv1alpha1.ClosedWebSocketConnectionStatus{
		By: connectionsv1alpha1.EndedByAdmin, Cause: connectionsv1alpha1.CauseDisconnected, Code: 4001, Reason: "bis später",
		ClosedAt: metav1.NewMicroTime(begin.Add(12 * time.Minute)), DurationMilliseconds: 720_000, LastActiveAt: metav1.NewMicroTime(begin.Add(12*time.Minute - 3*time.Second)),
		FromClient: connectionsv1alpha1.Traffic{Messages: 46, Bytes: 4100}, FromUpstream: connectionsv1alpha1.Traffic{Messages: 45, Bytes: 4000},
		Upstream: "10.0.0.7:8080", Reconnects: 2, PossiblyLost: 7, Undelivered: 3,
	}
	return c
}

func TestWhyTellsHowAConnectionHasEnded(t *testing.T) {
	r := newRoom(t)
	r.now = func() time.Time { return begin.Add(14 * time.Minute) }
	r.objects[closedPath+"pod-0001"] = closedConnection()
	want := `Connection pod-0001 in namespace shop has ended.

Closed:         2026-01-01T12:12:00Z, 2m ago
By:             Admin
Cause:          Disconnected: somebody asked for it through the API
Code:           4001
Reason:         "bis später"
Open:           for 12m, since 2026-01-01T12:00:00Z
Last byte:      3s before the end
Proxy:          chat
Pod:            chat-wsproxy-1
Client:         192.0.2.1, "agent\x1b[2J", origin "https://shop.example"
Path:           /room
Upstream:       10.0.0.7:8080, after 2 reconnects
From client:    46 messages, 4100 bytes
From upstream:  45 messages, 4000 bytes
Possibly lost:  at most 7 messages that a lost upstream was given
Undelivered:    3 messages of the client that no upstream was given
`
	for _, name := range []string{"pod-0001", "closedwebsocketconnection.connections.wsproxy.io/pod-0001"} {
		if got := r.must("why", name); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	if got := r.must("why", "pod-0001", "-o", "jsonpath={.status.by}"); got != "Admin" {
		t.Errorf("%s", got)
	}
	if got := r.must("why", "pod-0001", "-o", "name"); got != "closedwebsocketconnection.connections.wsproxy.io/pod-0001\n" {
		t.Errorf("%s", got)
	}
}

func TestWhyExplainsCausesAndCodes(t *testing.T) {
	for _, test := range []struct {
		cause connectionsv1alpha1.EndCause
		code  int32
		want  []string
	}{
		{connectionsv1alpha1.CauseClientLost, 1006, []string{"Cause:          ClientLost: the client left", "Code:           1006, there was no close frame\n"}},
		{connectionsv1alpha1.CauseDrained, 1012, []string{"Cause:          Drained: its pod went away", "Code:           1012, service restart\n"}},
		{"Eclipse\x1b[2J", 4999, []string{"Cause:          Eclipse^[[2J\n", "Code:           4999\n"}},
	} {
		c := closedConnection()
		c.Status.Cause, c.Status.Code, c.Status.CloseFrameCutOff, c.Status.Reason = test.cause, test.code, true, ""
		c.Status.PossiblyLost, c.Status.Undelivered = 0, 0
		got := storyOfClosed(c, begin)
		for _, want := range append(test.want, "Close frame:    the client was reset without one") {
			if !strings.Contains(got, want) {
				t.Errorf("%s does not say %q:\n%s", test.cause, want, got)
			}
		}
		for _, absent := range []string{"Reason", "Possibly lost", "Undelivered"} {
			if strings.Contains(got, absent) {
				t.Errorf("%s where there is none:\n%s", absent, got)
			}
		}
	}
}

func TestWhyTellsThatAConnectionHasNotEnded(t *testing.T) {
	r := newRoom(t)
	r.connect(2)
	r.now = func() time.Time { return begin.Add(time.Hour) }
	c := &r.connections[1]
	c.Spec.ConnectedAt, c.Status.LastActiveAt = metav1.NewMicroTime(begin), metav1.NewMicroTime(begin.Add(59*time.Minute))
	c.Status.Phase, c.Status.NotReconnectableReason = connectionsv1alpha1.ConnectionOpen, "BudgetExhausted"
	got := r.must("why", "wsc/pod-0001")
	for _, want := range []string{"pod-0001 in namespace shop has not ended.\n", "Open:           for 60m, since 2026-01-01T12:00:00Z\n", "Last byte:      60s ago\n", "Upstream:       none\n", "Reconnectable:  no: BudgetExhausted\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	c.Status.Phase = connectionsv1alpha1.ConnectionClosing
	if got := r.must("why", "pod-0001"); !strings.Contains(got, "shop is about to end.\n") {
		t.Errorf("%s", got)
	}
	if got := r.must("why", "pod-0001", "-o", "name"); got != "websocketconnection.connections.wsproxy.io/pod-0001\n" {
		t.Errorf("%s", got)
	}
}

func TestWhyFailsWithWhatIsKnown(t *testing.T) {
	r := newRoom(t)
	// A server that knows no closed connections.
	r.fails(`error: the server doesn't have a resource type "closedwebsocketconnections"`, "why", "pod-0001")
	notThere := func(request *http.Request) *apierrors.StatusError {
		if strings.HasPrefix(request.URL.Path, closedPath) {
			return apierrors.NewNotFound(connectionsv1alpha1.Resource(connectionsv1alpha1.ResourceClosed), "pod-0001")
		}
		return nil
	}
	r.refuse = notThere
	r.fails(`error: no connection "pod-0001" is open in namespace shop, and no pod remembers one that has ended: each does for ten minutes, while it runs`, "why", "pod-0001")
	r.refuse = func(request *http.Request) *apierrors.StatusError {
		if strings.HasPrefix(request.URL.Path, closedPath) {
			return nil
		}
		return apierrors.NewForbidden(connections, "pod-0001", errNo)
	}
	r.objects[closedPath+"pod-0001"] = closedConnection()
	if got := r.must("why", "pod-0001", "-o", "jsonpath={.status.code}"); got != "4001" {
		t.Errorf("who may see only those that have ended is told %s", got)
	}
	// Whether it is open, who may not see those that are is not told.
	forbidden := r.refuse
	r.refuse = func(request *http.Request) *apierrors.StatusError {
		if err := notThere(request); err != nil {
			return err
		}
		return forbidden(request)
	}
	r.fails(`Error from server (NotFound): closedwebsocketconnections.connections.wsproxy.io "pod-0001" not found`, "why", "pod-0001")
	r.refuse = func(*http.Request) *apierrors.StatusError { return apierrors.NewUnauthorized("Unauthorized") }
	r.fails("error: You must be logged in to the server (Unauthorized)", "why", "pod-0001")
	r.fails(`error: unable to match a printer suitable for the output format "wide", allowed formats are: go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,yaml`, "why", "pod-0001", "-o", "wide")
}
