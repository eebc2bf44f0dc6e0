// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

// Closed serves closedwebsocketconnections. There is no watch: who follows the live
// ones is told when one is gone, and can ask here how it ended. Nothing is deleted,
// because pods forget by themselves; so neither the garbage collector nor the
// namespace controller asks for them.
type Closed struct {
	reader
	now func() time.Time
}

var (
	_ rest.Storage              = (*Closed)(nil)
	_ rest.Scoper               = (*Closed)(nil)
	_ rest.SingularNameProvider = (*Closed)(nil)
	_ rest.ShortNamesProvider   = (*Closed)(nil)
	_ rest.Getter               = (*Closed)(nil)
	_ rest.Lister               = (*Closed)(nil)
)

// New implements rest.Storage.
func (*Closed) New() runtime.Object { return &connectionsv1alpha1.ClosedWebSocketConnection{} }

// NewList implements rest.Lister.
func (*Closed) NewList() runtime.Object { return &connectionsv1alpha1.ClosedWebSocketConnectionList{} }

// Destroy implements rest.Storage. The fleet is closed by who made it.
func (*Closed) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*Closed) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (*Closed) GetSingularName() string { return "closedwebsocketconnection" }

// ShortNames implements rest.ShortNamesProvider.
func (*Closed) ShortNames() []string { return []string{"cwsc"} }

// Get implements rest.Getter.
func (c *Closed) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	entry, err := c.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return closedOf(entry), nil
}

// List implements rest.Lister. It never hides that a pod did not answer.
func (c *Closed) List(ctx context.Context, options *internalversion.ListOptions) (runtime.Object, error) {
	page, err := c.page(ctx, options, nil)
	if err != nil {
		return nil, err
	}
	list := &connectionsv1alpha1.ClosedWebSocketConnectionList{
		ConnectionListMeta: page.meta(ctx), Items: make([]connectionsv1alpha1.ClosedWebSocketConnection, 0, len(page.entries)),
	}
	for i, e := range page.entries {
		list.Items = append(list.Items, *closedOf(e))
		page.entries[i] = fleet.Entry{} // Not in memory twice.
	}
	return list, nil
}

// closedOf returns the object that stands for a connection that has ended.
func closedOf(e fleet.Entry) *connectionsv1alpha1.ClosedWebSocketConnection {
	c, end := e.Connection, e.Connection.GetEnd()
	upstream := c.GetUpstream()
	if upstream == "" {
		upstream = end.GetUpstream()
	}
	return &connectionsv1alpha1.ClosedWebSocketConnection{
		ObjectMeta: metaOf(e, timeOf(end.GetAt())),
		Spec:       specOf(e),
		Status: connectionsv1alpha1.ClosedWebSocketConnectionStatus{
			By:                   connectionsv1alpha1.EndedBy(end.GetBy()),
			Cause:                connectionsv1alpha1.EndCause(end.GetCause()),
			Code:                 end.GetCode(),
			Reason:               end.GetReason(),
			CloseFrameCutOff:     end.GetCutOff(),
			ClosedAt:             metav1.NewMicroTime(timeOf(end.GetAt())),
			DurationMilliseconds: max(timeOf(end.GetAt()).Sub(timeOf(c.GetConnectedAt())).Milliseconds(), 0),
			LastActiveAt:         metav1.NewMicroTime(timeOf(c.GetLastActiveAt())),
			FromClient:           trafficOf(c.GetFromClient()),
			FromUpstream:         trafficOf(c.GetFromUpstream()),
			Upstream:             upstream,
			Reconnects:           c.GetReconnects(),
			PossiblyLost:         c.GetPossiblyLost(),
			Undelivered:          end.GetUndelivered(),
		},
	}
}
