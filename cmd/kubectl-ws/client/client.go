// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/http"
	"runtime"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// The resources that are asked for.
var (
	Connections = connectionsv1alpha1.GroupVersion.WithResource(connectionsv1alpha1.ResourceConnections)
	Closed      = connectionsv1alpha1.GroupVersion.WithResource(connectionsv1alpha1.ResourceClosed)
	Proxies     = wsproxyv1alpha1.GroupVersion.WithResource("websocketproxies")
)

// Client asks one kube-apiserver. Any number of goroutines may use it. Its errors are
// those of client-go: StatusError where the server answered. It repeats a request that
// the server asks it to repeat later, ten times at most.
type Client struct{ rest rest.Interface }

// New returns a Client that says it is kubectl-ws of a version. Its requests are not
// limited in number: the server says when they are too many.
func New(config *rest.Config, version string) (*Client, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "kubectl-ws/" + version + " (" + runtime.GOOS + "/" + runtime.GOARCH + ")"
	config.QPS = -1
	config.APIPath, config.GroupVersion = "/apis", &connectionsv1alpha1.GroupVersion
	// All that client-go has to decode is a Status.
	scheme := k8sruntime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	asking, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, err
	}
	return &Client{asking}, nil
}

// Get returns one object.
func (c *Client) Get(ctx context.Context, resource schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	return objectOf(answer(ctx, c.request(http.MethodGet, resource, namespace).Name(name)))
}

// request is one for a resource of a namespace, or of all if that is empty.
func (c *Client) request(verb string, resource schema.GroupVersionResource, namespace string) *rest.Request {
	return c.rest.Verb(verb).
		AbsPath("apis", resource.Group, resource.Version).
		NamespaceIfScoped(namespace, namespace != "").
		Resource(resource.Resource)
}

func answer(ctx context.Context, request *rest.Request) ([]byte, error) {
	result := request.Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	return result.Raw()
}

func objectOf(raw []byte, err error) (*unstructured.Unstructured, error) {
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(raw); err != nil {
		return nil, err
	}
	return object, nil
}

// Name returns the name in an argument, which may be what -o name prints:
// "websocketconnection.connections.wsproxy.io/NAME".
func Name(argument string) string {
	kind, name, ok := strings.Cut(argument, "/")
	if !ok {
		return argument
	}
	switch strings.TrimSuffix(kind, "."+connectionsv1alpha1.Group) {
	case "wsc", "websocketconnection", connectionsv1alpha1.ResourceConnections, "cwsc", "closedwebsocketconnection", connectionsv1alpha1.ResourceClosed:
		return name
	default:
		return argument
	}
}
