// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// columns of the table; those with priority 1 are in the wide one.
var columns = []metav1.TableColumnDefinition{
	{Name: "Name", Type: "string", Format: "name", Description: "The name, which the backend finds in the header X-WebSocket-Connection-Id."},
	{Name: "Proxy", Type: "string", Description: "The WebSocketProxy."},
	{Name: "Client", Type: "string", Description: "The address of the client."},
	{Name: "Path", Type: "string", Description: "The path of the request, without the query."},
	{Name: "Phase", Type: "string", Description: "Connecting, Open, Reconnecting or Closing."},
	{Name: "Messages", Type: "string", Description: "Messages from the client / from the upstream."},
	{Name: "Age", Type: "string", Description: "Time since the handshake of the client."},
	{Name: "Pod", Type: "string", Priority: 1, Description: "The data-plane pod."},
	{Name: "Upstream", Type: "string", Priority: 1, Description: "Where it is relayed to."},
	{Name: "Bytes", Type: "string", Priority: 1, Description: "Bytes from the client / from the upstream."},
	{Name: "User-Agent", Type: "string", Priority: 1, Description: "The User-Agent header of the client."},
}

// ConvertToTable implements rest.TableConvertor.
func (s *Storage) ConvertToTable(_ context.Context, object, options runtime.Object) (*metav1.Table, error) {
	now := s.now()
	row := func(c *connectionsv1alpha1.WebSocketConnection) []any { return cells(c, now) }
	switch o := object.(type) {
	case *connectionsv1alpha1.WebSocketConnection:
		one := []connectionsv1alpha1.WebSocketConnection{*o}
		return tableOf(metav1.ListMeta{ResourceVersion: o.ResourceVersion}, one, columns, row, options), nil
	case *connectionsv1alpha1.WebSocketConnectionList:
		return tableOf(o.ListMeta, o.Items, columns, row, options), nil
	default:
		return nil, apierrors.NewInternalError(fmt.Errorf("%T is no connection", object))
	}
}

// tableOf makes a table of objects. The reader of a row gets of its object what was
// asked for.
func tableOf[T any, P interface {
	*T
	runtime.Object
}](meta metav1.ListMeta, items []T, columns []metav1.TableColumnDefinition, cells func(P) []any, options runtime.Object) *metav1.Table {
	table := &metav1.Table{ListMeta: meta, Rows: make([]metav1.TableRow, 0, len(items))}
	if o, ok := options.(*metav1.TableOptions); !ok || !o.NoHeaders {
		table.ColumnDefinitions = columns
	}
	for i := range items {
		object := P(&items[i])
		table.Rows = append(table.Rows, metav1.TableRow{Cells: cells(object), Object: runtime.RawExtension{Object: object}})
	}
	return table
}

func cells(c *connectionsv1alpha1.WebSocketConnection, now time.Time) []any {
	client, upstream := c.Status.FromClient, c.Status.FromUpstream
	return []any{
		c.Name,
		c.Spec.Proxy,
		orNone(c.Spec.Client.SourceIP),
		c.Spec.Path,
		string(c.Status.Phase),
		count(client.Messages) + " / " + count(upstream.Messages),
		duration.HumanDuration(max(now.Sub(c.Spec.ConnectedAt.Time), 0)),
		c.Spec.Pod,
		orNone(c.Status.Upstream),
		size(client.Bytes) + " / " + size(upstream.Bytes),
		orNone(c.Spec.Client.UserAgent),
	}
}

func orNone(text string) string {
	if text == "" {
		return "<none>"
	}
	return text
}

// count is a number with three digits or so: 999, 12.3k, 4.0M.
func count(n int64) string { return scaled(n, 1000, []string{"", "k", "M", "G", "T"}) }

// size is a number of bytes with three digits or so: 999B, 1.2Ki, 345Mi.
func size(n int64) string { return scaled(n, 1024, []string{"B", "Ki", "Mi", "Gi", "Ti"}) }

func scaled(n, base int64, units []string) string {
	value, unit := float64(n), 0
	// 999.5 of one unit would be shown as 1000.
	for value >= float64(base)-0.5 && unit < len(units)-1 {
		value /= float64(base)
		unit++
	}
	if unit > 0 && value < 99.95 {
		return strconv.FormatFloat(value, 'f', 1, 64) + units[unit]
	}
	return strconv.FormatFloat(value, 'f', 0, 64) + units[unit]
}
