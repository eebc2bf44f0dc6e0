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
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Send serves websocketconnections/send. It answers with a Status and not with the
// connection: who may send need not be one who may see it. No error says anything of
// the payload, because errors are in audit logs.
type Send struct{ storage *Storage }

var (
	_ rest.NamedCreater                   = (*Send)(nil)
	_ rest.SubresourceObjectMetaPreserver = (*Send)(nil)
	_ rest.StorageMetadata                = (*Send)(nil)
)

// New implements rest.Storage.
func (*Send) New() runtime.Object { return &connectionsv1alpha1.WebSocketSend{} }

// Destroy implements rest.Storage.
func (*Send) Destroy() {}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate implements
// rest.SubresourceObjectMetaPreserver: uid and resourceVersion are preconditions.
func (*Send) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// ProducesMIMETypes implements rest.StorageMetadata.
func (*Send) ProducesMIMETypes(string) []string { return nil }

// ProducesObject implements rest.StorageMetadata.
func (*Send) ProducesObject(string) any { return metav1.Status{} }

// Create implements rest.NamedCreater. It succeeds when the kernel of the pod has
// taken all of the message.
func (s *Send) Create(ctx context.Context, name string, object runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	wish, ok := object.(*connectionsv1alpha1.WebSocketSend)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a WebSocketSend: %T", object))
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	message, problems := messageOf(name, wish)
	if len(problems) > 0 {
		return nil, apierrors.NewInvalid(kindSend, name, problems)
	}
	if size := len(message.GetData()); size > connectionsv1alpha1.MaxMessageBytes {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the message has %d bytes, may have at most %d", size, connectionsv1alpha1.MaxMessageBytes))
	}
	if validate != nil {
		if err := validate(ctx, object.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	message.DryRun = options != nil && len(options.DryRun) > 0
	namespace := request.NamespaceValue(ctx)
	if wish.ResourceVersion != "" {
		entry, err := s.storage.fleet.Get(ctx, s.storage.of, namespace, name)
		if err == nil {
			err = ending{version: wish.ResourceVersion}.check(entry)
		}
		if err != nil {
			return nil, apiError(ctx, name, err)
		}
	}
	outcome, err := s.storage.fleet.Send(ctx, namespace, message)
	if !message.GetDryRun() {
		s.storage.metrics.sent(outcome, err)
	}
	if err != nil {
		return nil, apiError(ctx, name, err)
	}
	if err := sendError(name, outcome); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// messageOf returns what the pod is asked for, and what is wrong with a wish, by
// field.
func messageOf(name string, wish *connectionsv1alpha1.WebSocketSend) (*dataplanev1alpha1.SendRequest, field.ErrorList) {
	var problems field.ErrorList
	invalid := func(path *field.Path, why string) {
		problems = append(problems, field.Invalid(path, field.OmitValueType{}, why))
	}
	if wish.Name != "" && wish.Name != name {
		invalid(field.NewPath("metadata", "name"), "must be the name of the connection")
	}
	message := &dataplanev1alpha1.SendRequest{Name: name, Uid: string(wish.UID), Type: dataplanev1alpha1.SendRequest_TYPE_TEXT, Data: wish.Data}
	switch wish.Type {
	case connectionsv1alpha1.MessageBinary:
		message.Type = dataplanev1alpha1.SendRequest_TYPE_BINARY
	case "":
		if wish.Text == nil {
			message.Type = dataplanev1alpha1.SendRequest_TYPE_BINARY
		}
	case connectionsv1alpha1.MessageText:
	default:
		problems = append(problems, field.NotSupported(field.NewPath("type"), wish.Type,
			[]connectionsv1alpha1.MessageType{connectionsv1alpha1.MessageText, connectionsv1alpha1.MessageBinary}))
	}
	text, data := field.NewPath("text"), field.NewPath("data")
	switch {
	case wish.Text == nil && wish.Data == nil:
		problems = append(problems, field.Required(data, "or text: what is to be sent; it may be empty"))
	case wish.Text == nil:
		if message.GetType() == dataplanev1alpha1.SendRequest_TYPE_TEXT && !utf8.Valid(wish.Data) {
			invalid(data, "must be UTF-8 in a Text")
		}
	case wish.Data != nil:
		invalid(text, "must not be there together with data")
	case wish.Type == connectionsv1alpha1.MessageBinary:
		invalid(text, "must not be there in a Binary: its payload is data, in base64")
	default:
		message.Data = []byte(*wish.Text)
	}
	return message, problems
}

// sendError says in the words of Kubernetes what became of a message. Where it says
// when to try again, nothing was sent.
func sendError(name string, outcome dataplanev1alpha1.SendResponse_Outcome) error {
	switch outcome {
	case dataplanev1alpha1.SendResponse_OUTCOME_SENT:
		return nil
	case dataplanev1alpha1.SendResponse_OUTCOME_NOT_TAKEN:
		return later(resource, name, "nothing was sent: the client does not read, or the upstream is within a long message of its own")
	case dataplanev1alpha1.SendResponse_OUTCOME_CONNECTING:
		return later(resource, name, "nothing was sent: the connection is not open yet")
	case dataplanev1alpha1.SendResponse_OUTCOME_TOO_MANY:
		return apierrors.NewTooManyRequests("nothing was sent: too many messages wait for this client", retryAfterSeconds)
	case dataplanev1alpha1.SendResponse_OUTCOME_TOO_BIG:
		return apierrors.NewRequestEntityTooLargeError("the message is larger than limits.maxMessageBytes of the proxy")
	case dataplanev1alpha1.SendResponse_OUTCOME_EXTENSION:
		return apierrors.NewConflict(resource, name, errExtension)
	default:
		// Without a time to retry after: the client would get it twice.
		return apierrors.NewTimeoutError("the client may get the message: a part of it was written", 0)
	}
}
