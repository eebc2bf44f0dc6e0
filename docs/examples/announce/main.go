// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command announce says something to every client of a WebSocketProxy: an example of
// how a Go program uses connections.wsproxy.io with client-go. Its user needs the
// ClusterRoles wsproxy-connections-viewer and wsproxy-connections-messenger, bound in
// the namespace.
//
//	go run ./docs/examples/announce -proxy echo "maintenance at noon"
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

func main() {
	proxy := flag.String("proxy", "", "WebSocketProxy whose clients are told (required)")
	flag.Parse()
	if err := run(context.Background(), *proxy, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "announce:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, proxy, text string) error {
	if proxy == "" || text == "" {
		return errors.New("usage: announce -proxy NAME TEXT")
	}
	// Where kubectl would go, and in a pod where its ServiceAccount belongs.
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
	namespace, _, err := kubeconfig.Namespace()
	if err != nil {
		return err
	}
	config, err := kubeconfig.ClientConfig()
	if err != nil {
		return err
	}
	asking, err := connect(config)
	if err != nil {
		return err
	}
	told, err := announce(ctx, asking, namespace, proxy, text)
	fmt.Printf("told %d clients\n", told)
	return err
}

// connect returns a client for connections.wsproxy.io.
func connect(config *rest.Config) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	if err := connectionsv1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/apis", &connectionsv1alpha1.GroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	// The server says when it is too much (429), and client-go waits as long as it says.
	config.QPS = -1
	return rest.RESTClientFor(config)
}

// announce sends a text to each client of a proxy and returns how many took it.
func announce(ctx context.Context, asking rest.Interface, namespace, proxy, text string) (told int, err error) {
	options := metav1.ListOptions{LabelSelector: wsproxyv1alpha1.LabelProxy + "=" + proxy, Limit: 500}
	for {
		page := &connectionsv1alpha1.WebSocketConnectionList{}
		err := asking.Get().Namespace(namespace).Resource(connectionsv1alpha1.ResourceConnections).
			VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(page)
		if err != nil {
			return told, fmt.Errorf("list connections: %w", err)
		}
		for _, c := range page.Items {
			err := asking.Post().Namespace(namespace).Resource(connectionsv1alpha1.ResourceConnections).
				Name(c.Name).SubResource(connectionsv1alpha1.SubresourceSend).
				Body(&connectionsv1alpha1.WebSocketSend{Text: &text}).Do(ctx).Error()
			switch {
			case err == nil:
				told++
			case apierrors.IsNotFound(err) || apierrors.IsConflict(err): // It has ended, or ends.
			default:
				return told, fmt.Errorf("send to %s: %w", c.Name, err)
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return told, nil
		}
	}
}
