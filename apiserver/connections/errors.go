// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/grpc/codes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/apiserver/merge"
)

// retryAfterSeconds is when it is worth to ask again for what a pod did not
// answer. Clients ask up to ten times, and each time they wait for the pod.
const retryAfterSeconds = 1

var (
	resource       = connectionsv1alpha1.Resource(connectionsv1alpha1.ResourceConnections)
	resourceClosed = connectionsv1alpha1.Resource(connectionsv1alpha1.ResourceClosed)
	kindConnection = connectionsv1alpha1.GroupVersion.WithKind("WebSocketConnection").GroupKind()
	kindDisconnect = connectionsv1alpha1.GroupVersion.WithKind("WebSocketDisconnect").GroupKind()
	kindSend       = connectionsv1alpha1.GroupVersion.WithKind("WebSocketSend").GroupKind()
)

// errExtension is why nothing can be sent under most extensions.
var errExtension = errors.New("client and upstream have agreed on an extension other than permessage-deflate, under which nothing else can be sent")

// apiError says in the words of Kubernetes what the fleet said of live connections.
func apiError(ctx context.Context, name string, err error) error {
	return apiErrorOf(ctx, resource, name, err)
}

// apiError says in the words of Kubernetes what the fleet said.
func (r reader) apiError(ctx context.Context, name string, err error) error {
	return apiErrorOf(ctx, r.resource, name, err)
}

// apiErrorOf is the only place where it is decided what to say.
func apiErrorOf(ctx context.Context, of schema.GroupResource, name string, err error) error {
	var refused *fleet.Refused
	var unanswered *fleet.Unanswered
	var decided apierrors.APIStatus
	switch {
	case errors.As(err, &decided):
		return err
	case errors.Is(err, merge.ErrExpired):
		return apierrors.NewResourceExpired(err.Error())
	case errors.As(err, &unanswered) && unanswered.MayHappen:
		// Without a time to retry after: clients would take what they did themselves
		// for a conflict.
		return apierrors.NewTimeoutError(unanswered.Error()+": what was asked of it may still happen", 0)
	case errors.Is(err, fleet.ErrUnknown):
		return apierrors.NewNotFound(of, name)
	case errors.As(err, &refused):
		if refused.Code == codes.InvalidArgument {
			return apierrors.NewBadRequest(refused.Error())
		}
		// It is closing already, or another one than the uid says.
		return apierrors.NewConflict(of, name, refused)
	case ctx.Err() != nil:
		return apierrors.NewTimeoutError(fmt.Sprintf("the request ended before the data-plane pods had answered: %v", ctx.Err()), retryAfterSeconds)
	default:
		return unavailableOf(of, name, err.Error())
	}
}

// unavailable is the answer where nothing can be said of live connections.
func unavailable(why string) error { return unavailableOf(resource, "", why) }

// unavailableOf is the answer where nothing can be said, which is another one than
// that there is nothing. name may be empty.
func unavailableOf(of schema.GroupResource, name, why string) error {
	return later(of, name, "cannot ask the data plane: "+why)
}

// later is the answer where the same request may succeed soon. name may be empty.
func later(of schema.GroupResource, name, why string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusServiceUnavailable,
		Reason:  metav1.StatusReasonServiceUnavailable,
		Message: why,
		Details: &metav1.StatusDetails{
			Group: of.Group, Kind: of.Resource, Name: name,
			RetryAfterSeconds: retryAfterSeconds,
		},
	}}
}

// checkName refuses to change what can never have been.
func checkName(name string) error {
	if _, _, ok := dataplanev1alpha1.ParseName(name); ok {
		return nil
	}
	return apierrors.NewInvalid(kindConnection, name, field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), name,
		fmt.Sprintf("no connection was ever called this: a name has %d characters, the last %d of them after a hyphen, out of 0-9 and a-v",
			dataplanev1alpha1.NameLength, dataplanev1alpha1.SequenceLength))})
}

// isClosing reports whether the fleet says that the connection is closing
// already.
func isClosing(err error) bool {
	var refused *fleet.Refused
	return errors.As(err, &refused) && refused.Code == codes.FailedPrecondition
}
