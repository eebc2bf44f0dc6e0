// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// Disconnect ends a connection, or only checks that, if dryRun is set, and returns it as
// it closes. It asks once: whoever ends many knows better when to ask again.
func (c *Client) Disconnect(ctx context.Context, namespace, name string, wish *connectionsv1alpha1.WebSocketDisconnect, dryRun bool) (*unstructured.Unstructured, error) {
	wish = wish.DeepCopy()
	wish.TypeMeta = metav1.TypeMeta{APIVersion: connectionsv1alpha1.GroupVersion.String(), Kind: "WebSocketDisconnect"}
	request, err := c.post(namespace, name, connectionsv1alpha1.SubresourceDisconnect, wish, dryRun)
	if err != nil {
		return nil, err
	}
	return objectOf(answer(ctx, request.MaxRetries(0)))
}

// Send sends a message to the client of a connection, or only checks that.
func (c *Client) Send(ctx context.Context, namespace, name string, message *connectionsv1alpha1.WebSocketSend, dryRun bool) error {
	message = message.DeepCopy()
	message.TypeMeta = metav1.TypeMeta{APIVersion: connectionsv1alpha1.GroupVersion.String(), Kind: "WebSocketSend"}
	request, err := c.post(namespace, name, connectionsv1alpha1.SubresourceSend, message, dryRun)
	if err != nil {
		return err
	}
	_, err = answer(ctx, request)
	return err
}

func (c *Client) post(namespace, name, subresource string, body any, dryRun bool) (*rest.Request, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	options := metav1.CreateOptions{}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return c.request(http.MethodPost, Connections, namespace).Name(name).SubResource(subresource).
		VersionedParams(&options, metav1.ParameterCodec).
		SetHeader("Content-Type", "application/json").
		Body(raw), nil
}
