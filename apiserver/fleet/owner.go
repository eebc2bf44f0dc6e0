// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// catchUp is how long the watch of pods may lag behind a list of them before
// that is reported instead of waited for.
const catchUp = time.Second

// Of says which connections are asked for.
type Of int

const (
	// Live are those that are there.
	Live Of = iota
	// Closed are those that were opened and have ended of late, as they were then.
	Closed
)

// Entry is a connection and the pod that has it.
type Entry struct {
	Pod        *Pod
	Connection *dataplanev1alpha1.Connection
}

// Get returns the connection of that name in the namespace; in any where that is
// empty. Errors: ErrUnknown, *Refused, *Unanswered, or one that says why nothing
// can be said.
func (f *Fleet) Get(ctx context.Context, of Of, namespace, name string) (Entry, error) {
	return f.ask(ctx, namespace, name, func(p *Pod) (*dataplanev1alpha1.Connection, error) {
		return p.get(ctx, of, name)
	})
}

// Find is Get for a list of that Version; timely says that it is as of that.
func (f *Fleet) Find(ctx context.Context, of Of, namespace, name string, version clock.Stamp) (e Entry, timely bool, err error) {
	timely = true
	e, err = f.ask(ctx, namespace, name, func(p *Pod) (*dataplanev1alpha1.Connection, error) {
		c, asOf, err := p.find(ctx, of, name, version)
		timely = timely && asOf && (err != nil || f.hub.check(p, clock.Stamp(c.GetVersion())) == nil)
		return c, err
	})
	return e, timely, err
}

// Disconnect starts the closing of a connection in the namespace and returns it
// as it is then. Errors are those of Get.
func (f *Fleet) Disconnect(ctx context.Context, namespace string, request *dataplanev1alpha1.DisconnectRequest) (Entry, error) {
	return f.ask(ctx, namespace, request.GetName(), func(p *Pod) (*dataplanev1alpha1.Connection, error) {
		return p.disconnect(ctx, request)
	})
}

// ask asks the owner of the connection. Two pods may share a prefix, though
// hardly ever, so an owner that does not know the name is not the last word.
func (f *Fleet) ask(ctx context.Context, namespace, name string, question func(*Pod) (*dataplanev1alpha1.Connection, error)) (Entry, error) {
	for {
		owners, err := f.owners(ctx, namespace, name)
		if err != nil {
			return Entry{}, err
		}
		changed := false
		for _, pod := range owners {
			c, err := question(pod)
			switch {
			case err == nil:
				return Entry{pod, c}, nil
			case errors.Is(err, errReplaced):
				changed = true
			case !errors.Is(err, ErrUnknown) && !errors.Is(err, errRemoved):
				return Entry{}, err
			}
		}
		if !changed {
			return Entry{}, ErrUnknown
		}
	}
}

// owners returns the pods that may have issued the name. Before it says
// ErrUnknown, it takes a look at the pods as they are now: the one that issued
// the name may be too young to be known here.
func (f *Fleet) owners(ctx context.Context, namespace, name string) ([]*Pod, error) {
	if _, _, ok := dataplanev1alpha1.ParseName(name); !ok || !f.Covers(namespace) {
		return nil, ErrUnknown
	}
	prefix := name[:dataplanev1alpha1.PodPrefixLength]
	if pods, _ := f.known(namespace, prefix); len(pods) > 0 {
		return pods, nil
	}
	if err := f.Ready(); err != nil {
		return nil, err
	}
	now, err := f.look(ctx, namespace)
	if err != nil {
		return nil, err
	}
	if !now.prefixes[prefix] {
		if len(f.Refused(namespace)) > 0 {
			return nil, errors.New("its pods may not be listed: the API server has no rights in the namespace")
		}
		return nil, ErrUnknown
	}
	late := time.NewTimer(catchUp)
	defer late.Stop()
	for {
		pods, changed := f.known(namespace, prefix)
		if len(pods) > 0 {
			return pods, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late.C:
			return nil, errors.New("the pod has appeared and is not watched yet")
		}
	}
}

func (f *Fleet) known(namespace, prefix string) (pods []*Pod, changed <-chan struct{}) {
	f.mu.Lock()
	changed = f.changed
	f.mu.Unlock()
	return f.Pods(func(p *Pod) bool { return (namespace == "" || p.Namespace == namespace) && p.Prefix == prefix }), changed
}
