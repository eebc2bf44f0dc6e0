// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
	"github.com/wsproxy/wsproxy/test/tap"
)

// follower is an informer and what it believes.
type follower struct {
	what   string
	tap    *tap.Tap
	events atomic.Int64
	// sees returns the phases of connections by their names.
	sees func() (map[string]string, error)
	// behind is how long it took to see what is, each time that clients held still.
	behind []time.Duration
}

// wrong returns nil where the follower sees exactly the clients, all of them open.
func (f *follower) wrong(clients *fleet.Churn) error {
	truth := clients.Open()
	got, err := f.sees()
	if err != nil {
		return err
	}
	var stale, missing, phases []string
	for name, phase := range got {
		if _, open := truth[name]; !open {
			stale = append(stale, name)
		} else if phase != string(connectionsv1alpha1.ConnectionOpen) {
			phases = append(phases, name+" "+phase)
		}
	}
	for name := range truth {
		if _, seen := got[name]; !seen {
			missing = append(missing, name)
		}
	}
	if len(stale)+len(missing)+len(phases) == 0 {
		return nil
	}
	return fmt.Errorf("of %d clients it sees %d; stale: %d %.3v, missing: %d %.3v, not open: %d %.3v",
		len(truth), len(got), len(stale), stale, len(missing), missing, len(phases), phases)
}

// note counts events.
func (f *follower) note() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { f.events.Add(1) },
		UpdateFunc: func(any, any) { f.events.Add(1) },
		DeleteFunc: func(any) { f.events.Add(1) },
	}
}

// tapped is a config for the cluster whose requests pass a tap.
func tapped(t *testing.T, options tap.Options) (*rest.Config, *tap.Tap) {
	t.Helper()
	cluster, err := config.GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	if options.Next, err = rest.TransportFor(cluster); err != nil {
		t.Fatal(err)
	}
	through := tap.New(options)
	return &rest.Config{Host: cluster.Host, QPS: -1, Transport: through}, through
}

// run runs an informer until the test ends.
func run(t *testing.T, what func(context.Context)) {
	t.Helper()
	ran := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(ran)
		what(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ran
	})
}

// cutInformer is one of client-go whose watches do not live long.
func (r *room) cutInformer() *follower {
	r.t.Helper()
	through, made := tapped(r.t, tap.Options{CutAtLeast: 2 * time.Second, CutAfter: 20 * time.Second})
	client, err := dynamic.NewForConfig(through)
	if err != nil {
		r.t.Fatal(err)
	}
	f := &follower{what: "the informer of client-go", tap: made}
	resource := connectionsv1alpha1.GroupVersion.WithResource(connectionsv1alpha1.ResourceConnections)
	informer := dynamicinformer.NewFilteredDynamicInformer(client, resource, r.namespace, 0, toolscache.Indexers{}, func(*metav1.ListOptions) {}).Informer()
	if _, err := informer.AddEventHandler(f.note()); err != nil {
		r.t.Fatal(err)
	}
	f.sees = func() (map[string]string, error) {
		seen := map[string]string{}
		for _, object := range informer.GetStore().List() {
			o := object.(*unstructured.Unstructured)
			phase, _, err := unstructured.NestedString(o.Object, "status", "phase")
			if err != nil {
				return nil, err
			}
			seen[o.GetName()] = phase
		}
		return seen, nil
	}
	run(r.t, informer.RunWithContext)
	return f
}

// runtimeCache is the cache of controller-runtime, as a controller would use it.
func (r *room) runtimeCache() *follower {
	r.t.Helper()
	through, made := tapped(r.t, tap.Options{})
	c, err := cache.New(through, cache.Options{
		HTTPClient: &http.Client{Transport: made}, Scheme: r.Scheme(), Mapper: r.RESTMapper(),
		DefaultNamespaces: map[string]cache.Config{r.namespace: {}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	f := &follower{what: "the cache of controller-runtime", tap: made}
	f.sees = func() (map[string]string, error) {
		var list connectionsv1alpha1.WebSocketConnectionList
		if err := c.List(r.t.Context(), &list); err != nil {
			return nil, err
		}
		seen := map[string]string{}
		for i := range list.Items {
			seen[list.Items[i].Name] = string(list.Items[i].Status.Phase)
		}
		return seen, nil
	}
	run(r.t, func(ctx context.Context) {
		if err := c.Start(ctx); err != nil {
			r.t.Error(err)
		}
	})
	informer, err := c.GetInformer(r.t.Context(), &connectionsv1alpha1.WebSocketConnection{})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := informer.AddEventHandler(f.note()); err != nil {
		r.t.Fatal(err)
	}
	return f
}
