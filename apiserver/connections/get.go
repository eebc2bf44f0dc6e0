// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

// Get implements rest.Getter.
func (s *Storage) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	entry, err := s.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return objectOf(entry), nil
}

func (r reader) get(ctx context.Context, name string) (fleet.Entry, error) {
	entry, err := r.fleet.Get(ctx, r.of, request.NamespaceValue(ctx), name)
	if err != nil {
		return fleet.Entry{}, r.apiError(ctx, name, err)
	}
	return entry, nil
}

// Status serves websocketconnections/status, which is the whole object, as it is
// of every resource.
type Status struct{ storage *Storage }

var (
	_ rest.Getter         = (*Status)(nil)
	_ rest.TableConvertor = (*Status)(nil)
)

// New implements rest.Storage.
func (s *Status) New() runtime.Object { return s.storage.New() }

// Destroy implements rest.Storage.
func (*Status) Destroy() {}

// Get implements rest.Getter.
func (s *Status) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return s.storage.Get(ctx, name, options)
}

// ConvertToTable implements rest.TableConvertor.
func (s *Status) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	return s.storage.ConvertToTable(ctx, object, options)
}
