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

// Delete implements rest.GracefulDeleter: it disconnects, and answers with the
// connection as it closes, whether that began now or before. There is no
// admission in this server that would want to validate.
func (s *Storage) Delete(ctx context.Context, name string, _ rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	if err := checkName(name); err != nil {
		return nil, false, err
	}
	how, err := endingOf(name, options)
	if err != nil {
		return nil, false, err
	}
	namespace := request.NamespaceValue(ctx)
	entry, err := s.end(ctx, namespace, name, how)
	if isClosing(err) {
		entry, err = s.fleet.Get(ctx, s.of, namespace, name)
	}
	if err != nil {
		return nil, false, apiError(ctx, name, err)
	}
	return objectOf(entry), false, nil
}
