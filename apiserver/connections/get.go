// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Get implements rest.Getter.
func (s *Storage) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	entry, err := s.fleet.Get(ctx, request.NamespaceValue(ctx), name)
	if err != nil {
		return nil, apiError(ctx, name, err)
	}
	return objectOf(entry), nil
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
