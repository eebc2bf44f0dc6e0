// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// acknowledgement is when the status said that every pod has acknowledged what a
// generation of the spec asks for.
type acknowledgement struct {
	generation int64
	at         time.Time
}

// acknowledgements tells of them as they come, until ctx ends, which closes the
// channel, as does an end of the watch.
func (c *cluster) acknowledgements(ctx context.Context) (<-chan acknowledgement, error) {
	events, err := c.Watch(ctx, &wsproxyv1alpha1.WebSocketProxyList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": name})
	if err != nil {
		return nil, fmt.Errorf("watch the proxy: %w", err)
	}
	found := make(chan acknowledgement, 1000)
	go func() {
		defer close(found)
		defer events.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case event, open := <-events.ResultChan():
				if !open {
					return
				}
				if p, ok := event.Object.(*wsproxyv1alpha1.WebSocketProxy); ok && event.Type != watch.Deleted && acknowledged(p, c.pods) {
					found <- acknowledgement{p.Status.ObservedGeneration, time.Now()}
				}
			}
		}
	}()
	return found, nil
}

// acknowledged says whether each of so many pods has what the status speaks of.
func acknowledged(p *wsproxyv1alpha1.WebSocketProxy, pods int) bool {
	programmed := meta.FindStatusCondition(p.Status.Conditions, wsproxyv1alpha1.ConditionProgrammed)
	return programmed != nil && programmed.Status == "True" && programmed.ObservedGeneration == p.Status.ObservedGeneration &&
		int(p.Status.Dataplane.Pods) == pods && int(p.Status.Dataplane.Programmed) == pods
}

// await waits for the acknowledgement of a generation.
func await(ctx context.Context, found <-chan acknowledgement, generation int64) (time.Time, error) {
	const patience = 30 * time.Second
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case a, open := <-found:
			if !open {
				return time.Time{}, errors.New("the watch has ended")
			}
			if a.generation >= generation {
				return a.at, nil
			}
		case <-timeout.C:
			return time.Time{}, fmt.Errorf("generation %d was not acknowledged within %v", generation, patience)
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}
