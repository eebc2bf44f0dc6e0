// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/client"
	"github.com/wsproxy/wsproxy/cmd/kubectl-ws/rates"
)

// survey looks at the chosen connections again and again, and measures what they do in
// between.
type survey struct {
	client    *client.Client
	choice    *choice
	namespace string
	now       func() time.Time
	meter     rates.Meter
	// trim, where there is one, gives up the rows that will not be shown, page by page: of
	// a fleet only the counters need to fit into memory.
	trim func([]row) []row
}

// row is a connection as it is shown.
type row struct {
	metav1.TableRow
	connectedAt     time.Time
	messages, bytes int64
	rates           rates.Rates
	measured        bool
}

// round is one look.
type round struct {
	columns []metav1.TableColumnDefinition
	rows    []row
	// connections are how many there are; rates are those of all of them that were
	// there in the last round, too.
	connections int
	rates       rates.Rates
	measured    bool
	// missing says of each of several that were named that it is not there.
	missing []error
}

// look asks for all of them.
func (s *survey) look(ctx context.Context) (*round, error) {
	s.meter.Turn()
	r := &round{}
	if len(s.choice.names) == 0 {
		err := s.client.Tables(ctx, s.choice.selection(s.namespace), func(table *metav1.Table) error { return s.add(r, table) })
		return r, err
	}
	for _, name := range s.choice.names {
		table, err := s.client.Table(ctx, s.namespace, name)
		if apierrors.IsNotFound(err) && len(s.choice.names) > 1 {
			r.missing = append(r.missing, err)
			continue
		}
		if err == nil {
			err = s.add(r, table)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (s *survey) add(r *round, table *metav1.Table) error {
	at := s.now()
	if r.columns == nil {
		r.columns = table.ColumnDefinitions
	}
	for _, raw := range table.Rows {
		var c connectionsv1alpha1.WebSocketConnection
		if err := json.Unmarshal(raw.Object.Raw, &c); err != nil {
			return fmt.Errorf("a connection in the server's table: %w", err)
		}
		one := rowOf(raw, &c)
		one.rates, one.measured = s.meter.See(c.Namespace+"/"+c.Name, rates.Sample{
			At:           at,
			FromClient:   rates.Counts(c.Status.FromClient),
			FromUpstream: rates.Counts(c.Status.FromUpstream),
		})
		if one.measured {
			r.rates, r.measured = r.rates.Plus(one.rates), true
		}
		r.rows = append(r.rows, one)
	}
	r.connections += len(table.Rows)
	if s.trim != nil {
		r.rows = s.trim(r.rows)
	}
	return nil
}

// rowOf keeps of the object what is printed with a row: its metadata.
func rowOf(raw metav1.TableRow, c *connectionsv1alpha1.WebSocketConnection) row {
	raw.Object = runtime.RawExtension{Object: &metav1.PartialObjectMetadata{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name, Labels: c.Labels},
	}}
	return row{
		TableRow: raw, connectedAt: c.Spec.ConnectedAt.Time,
		messages: c.Status.FromClient.Messages + c.Status.FromUpstream.Messages,
		bytes:    c.Status.FromClient.Bytes + c.Status.FromUpstream.Bytes,
	}
}
