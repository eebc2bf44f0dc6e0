// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/apiserver/throttle"
)

// reader reads connections: those that are live, or those that have ended.
type reader struct {
	fleet    *fleet.Fleet
	of       fleet.Of
	resource schema.GroupResource
}

// Storage serves websocketconnections. It has no Create: what can be created is
// watched by the quota controller of every cluster.
type Storage struct {
	reader
	// changes has counted each request for a change as one before it comes here.
	changes *throttle.Throttle
	metrics *Metrics
	now     func() time.Time
}

var (
	_ rest.Storage                    = (*Storage)(nil)
	_ rest.Scoper                     = (*Storage)(nil)
	_ rest.SingularNameProvider       = (*Storage)(nil)
	_ rest.ShortNamesProvider         = (*Storage)(nil)
	_ rest.CategoriesProvider         = (*Storage)(nil)
	_ rest.Getter                     = (*Storage)(nil)
	_ rest.Lister                     = (*Storage)(nil)
	_ rest.Watcher                    = (*Storage)(nil)
	_ rest.TableConvertor             = (*Storage)(nil)
	_ rest.GracefulDeleter            = (*Storage)(nil)
	_ rest.MayReturnFullObjectDeleter = (*Storage)(nil)
	_ rest.CollectionDeleter          = (*Storage)(nil)
)

// Resources returns the storage of each resource of the group by its name in
// URLs.
func Resources(pods *fleet.Fleet, changes *throttle.Throttle, metrics *Metrics) map[string]rest.Storage {
	s := &Storage{reader: reader{pods, fleet.Live, resource}, changes: changes, metrics: metrics, now: time.Now}
	const parent = connectionsv1alpha1.ResourceConnections
	return map[string]rest.Storage{
		connectionsv1alpha1.ResourceClosed: &Closed{reader: reader{pods, fleet.Closed, resourceClosed}, now: time.Now},

		parent: s,
		parent + "/" + connectionsv1alpha1.SubresourceStatus:     &Status{s},
		parent + "/" + connectionsv1alpha1.SubresourceDisconnect: &Disconnect{s},
		parent + "/" + connectionsv1alpha1.SubresourceSend:       &Send{s},
	}
}

// New implements rest.Storage.
func (*Storage) New() runtime.Object { return &connectionsv1alpha1.WebSocketConnection{} }

// NewList implements rest.Lister.
func (*Storage) NewList() runtime.Object { return &connectionsv1alpha1.WebSocketConnectionList{} }

// Destroy implements rest.Storage. The fleet is closed by who made it.
func (*Storage) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*Storage) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (*Storage) GetSingularName() string { return "websocketconnection" }

// ShortNames implements rest.ShortNamesProvider.
func (*Storage) ShortNames() []string { return []string{"wsc"} }

// Categories implements rest.CategoriesProvider.
func (*Storage) Categories() []string { return []string{"wsproxy"} }

// DeleteReturnsDeletedObject implements rest.MayReturnFullObjectDeleter.
func (*Storage) DeleteReturnsDeletedObject() bool { return true }
