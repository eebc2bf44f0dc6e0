// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// closedColumns are those of closed connections; those with priority 1 are in the wide
// table.
var closedColumns = []metav1.TableColumnDefinition{
	{Name: "Name", Type: "string", Format: "name", Description: "The name that the connection had."},
	{Name: "Proxy", Type: "string", Description: "The WebSocketProxy."},
	{Name: "Client", Type: "string", Description: "The address of the client."},
	{Name: "By", Type: "string", Description: "Who ended it: Client, Upstream, Proxy, Admin or Network."},
	{Name: "Cause", Type: "string", Description: "Why it ended."},
	{Name: "Code", Type: "integer", Description: "The close code with which the end began; 1005: none, 1006: no close frame."},
	{Name: "Reason", Type: "string", Description: "The reason in that close frame, or what happened."},
	{Name: "Lasted", Type: "string", Description: "Time from the handshake of the client to the end."},
	{Name: "Age", Type: "string", Description: "Time since the end."},
	{Name: "Path", Type: "string", Priority: 1, Description: "The path of the request, without the query."},
	{Name: "Messages", Type: "string", Priority: 1, Description: "Messages from the client / from the upstream."},
	{Name: "Bytes", Type: "string", Priority: 1, Description: "Bytes from the client / from the upstream."},
	{Name: "Lost", Type: "string", Priority: 1, Description: "Messages of the client that were not delivered / that may have been lost with an upstream."},
	{Name: "Upstream", Type: "string", Priority: 1, Description: "Where it was relayed to last."},
	{Name: "Pod", Type: "string", Priority: 1, Description: "The data-plane pod."},
	{Name: "User-Agent", Type: "string", Priority: 1, Description: "The User-Agent header of the client."},
}

// ConvertToTable implements rest.TableConvertor.
func (c *Closed) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	now := c.now()
	row := func(o *connectionsv1alpha1.ClosedWebSocketConnection) []any { return closedCells(o, now) }
	switch o := object.(type) {
	case *connectionsv1alpha1.ClosedWebSocketConnection:
		one := []connectionsv1alpha1.ClosedWebSocketConnection{*o}
		return tableOf(metav1.ListMeta{ResourceVersion: o.ResourceVersion}, one, closedColumns, row, options), nil
	case *connectionsv1alpha1.ClosedWebSocketConnectionList:
		return tableOf(o.ListMeta, o.Items, closedColumns, row, options), nil
	default:
		return nil, apierrors.NewInternalError(fmt.Errorf("%T is no closed connection", object))
	}
}

func closedCells(c *connectionsv1alpha1.ClosedWebSocketConnection, now time.Time) []any {
	s := &c.Status
	return []any{
		c.Name,
		c.Spec.Proxy,
		orNone(c.Spec.Client.SourceIP),
		string(s.By),
		string(s.Cause),
		int64(s.Code),
		orNone(s.Reason),
		lasted(time.Duration(s.DurationMilliseconds) * time.Millisecond),
		duration.HumanDuration(max(now.Sub(s.ClosedAt.Time), 0)),
		c.Spec.Path,
		count(s.FromClient.Messages) + " / " + count(s.FromUpstream.Messages),
		size(s.FromClient.Bytes) + " / " + size(s.FromUpstream.Bytes),
		count(s.Undelivered) + " / " + count(s.PossiblyLost),
		orNone(s.Upstream),
		c.Spec.Pod,
		orNone(c.Spec.Client.UserAgent),
	}
}

// lasted shows also what is over at once, which is where to look when all are.
func lasted(d time.Duration) string {
	if d < 2*time.Second {
		return d.String()
	}
	return duration.HumanDuration(d)
}
