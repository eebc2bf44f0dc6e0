// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"fmt"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// Disconnect serves websocketconnections/disconnect: a delete with a word of
// one's own.
type Disconnect struct{ storage *Storage }

var (
	_ rest.NamedCreater                   = (*Disconnect)(nil)
	_ rest.SubresourceObjectMetaPreserver = (*Disconnect)(nil)
	_ rest.StorageMetadata                = (*Disconnect)(nil)
)

// New implements rest.Storage.
func (*Disconnect) New() runtime.Object { return &connectionsv1alpha1.WebSocketDisconnect{} }

// Destroy implements rest.Storage.
func (*Disconnect) Destroy() {}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate implements
// rest.SubresourceObjectMetaPreserver: uid and resourceVersion are preconditions.
func (*Disconnect) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// ProducesMIMETypes implements rest.StorageMetadata.
func (*Disconnect) ProducesMIMETypes(string) []string { return nil }

// ProducesObject implements rest.StorageMetadata.
func (*Disconnect) ProducesObject(string) any { return connectionsv1alpha1.WebSocketConnection{} }

// Create implements rest.NamedCreater and answers with the connection as it
// closes. That it is closing already is a conflict: the code and the reason of
// this request will not be sent.
func (d *Disconnect) Create(ctx context.Context, name string, object runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	wish, ok := object.(*connectionsv1alpha1.WebSocketDisconnect)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a WebSocketDisconnect: %T", object))
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if problems := check(name, wish); len(problems) > 0 {
		return nil, apierrors.NewInvalid(kindDisconnect, name, problems)
	}
	if validate != nil {
		if err := validate(ctx, object.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	how := endingFrom(wish)
	how.dryRun = options != nil && len(options.DryRun) > 0
	entry, err := d.storage.end(ctx, request.NamespaceValue(ctx), name, how)
	if err != nil {
		return nil, apiError(ctx, name, err)
	}
	return objectOf(entry), nil
}

func endingFrom(wish *connectionsv1alpha1.WebSocketDisconnect) ending {
	how := ending{
		uid:          wish.UID,
		version:      wish.ResourceVersion,
		code:         connectionsv1alpha1.DefaultCloseCode,
		reason:       connectionsv1alpha1.DefaultReason,
		graceSeconds: wish.GracePeriodSeconds,
	}
	if wish.Code != nil {
		how.code = *wish.Code
	}
	if wish.Reason != nil {
		how.reason = *wish.Reason
	}
	return how
}

// check returns what is wrong with a wish, by field.
func check(name string, wish *connectionsv1alpha1.WebSocketDisconnect) field.ErrorList {
	var problems field.ErrorList
	if wish.Name != "" && wish.Name != name {
		problems = append(problems, field.Invalid(field.NewPath("metadata", "name"), wish.Name, "must be the name of the connection"))
	}
	if wish.Code != nil && !connectionsv1alpha1.MaySend(*wish.Code) {
		problems = append(problems, field.Invalid(field.NewPath("code"), *wish.Code, "must be 1000-1003, 1007-1014 or 3000-4999: RFC 6455 section 7.4 lets no other be sent"))
	}
	if wish.Reason != nil {
		switch n := len(*wish.Reason); {
		case n > connectionsv1alpha1.MaxReasonBytes:
			problems = append(problems, field.Invalid(field.NewPath("reason"), *wish.Reason, fmt.Sprintf("has %d bytes, must have at most %d", n, connectionsv1alpha1.MaxReasonBytes)))
		case !utf8.ValidString(*wish.Reason):
			problems = append(problems, field.Invalid(field.NewPath("reason"), *wish.Reason, "must be UTF-8"))
		}
	}
	return append(problems, checkGrace(wish.GracePeriodSeconds)...)
}
