// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// measure opens the connections and makes the changes.
func (c *cluster) measure(ctx context.Context) (*findings, error) {
	before, err := c.state(ctx)
	if err != nil {
		return nil, err
	}
	clients, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	// A second Stop does no harm.
	defer clients.Stop(context.WithoutCancel(ctx))

	say("%d changes, one after the other was acknowledged", c.changes)
	f := &findings{options: c.options, nodes: before.nodes}
	if err := c.change(ctx, f); err != nil {
		return nil, err
	}
	say("the clients say goodbye")
	f.report = clients.Stop(ctx)
	after, err := c.state(ctx)
	if err != nil {
		return nil, err
	}
	f.replaced = !maps.Equal(before.pods, after.pods)
	f.applied, f.skipped = after.applied-before.applied, after.skipped-before.skipped
	return f, nil
}

// connect opens the connections and lets them talk. A Service leads to a pod a moment
// after it is ready; the pods without connections would be of no use here.
func (c *cluster) connect(ctx context.Context) (*fleet.Fleet, error) {
	url, err := c.address(ctx)
	if err != nil {
		return nil, err
	}
	for attempt := 0; ; attempt++ {
		probe, err := fleet.Start(ctx, fleet.Options{URL: url, Connections: 8 * c.pods})
		if err != nil {
			return nil, err
		}
		_ = probe.Opened(ctx) // What was refused reached no pod.
		if reached := len(probe.Stop(ctx).Pods); reached == c.pods {
			break
		} else if attempt == 60 || ctx.Err() != nil {
			return nil, fmt.Errorf("the Service leads to %d of %d pods", reached, c.pods)
		}
		time.Sleep(time.Second / 2)
	}
	say("%d connections, each with a message every %v", c.clients, time.Duration(float64(time.Second)/c.rate))
	clients, err := fleet.Start(ctx, fleet.Options{URL: url, Connections: c.clients, Rate: c.rate, Size: 64, Ramp: time.Duration(c.clients) * 3 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	if err := clients.Opened(ctx); err != nil {
		clients.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return clients, nil
}

// change makes the changes.
func (c *cluster) change(ctx context.Context, f *findings) error {
	acknowledgements, err := c.acknowledgements(ctx)
	if err != nil {
		return err
	}
	for change := 1; change <= c.changes; change++ {
		start := time.Now()
		generation, err := c.apply(ctx, change)
		if err != nil {
			return err
		}
		f.kubectl = append(f.kubectl, time.Since(start).Seconds())
		at, err := await(ctx, acknowledgements, generation)
		if err != nil {
			return fmt.Errorf("change %d: %w", change, err)
		}
		f.acknowledged = append(f.acknowledged, at.Sub(start).Seconds())
	}
	return nil
}

// state is what must not change, and what is counted.
type state struct {
	pods             map[string]types.UID
	nodes            map[string]int
	applied, skipped float64
}

func (c *cluster) state(ctx context.Context) (*state, error) {
	pods, err := c.dataplanes(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{pods: map[string]types.UID{}, nodes: map[string]int{}}
	for _, p := range pods {
		s.pods[p.Name] = p.UID
		s.nodes[p.Spec.NodeName]++
	}
	operators := &corev1.PodList{}
	if err := c.List(ctx, operators, client.InNamespace("wsproxy-system"), client.MatchingLabels{"app.kubernetes.io/component": "operator"}); err != nil {
		return nil, err
	}
	// One of them leads; the others have counted nothing.
	for _, p := range operators.Items {
		page, err := read(ctx, "http://"+p.Status.PodIP+":8080/metrics")
		if err != nil {
			return nil, err
		}
		s.applied += counter(page, "applied")
		s.skipped += counter(page, "skipped")
	}
	return s, nil
}

func read(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// counter reads how many pushes had a result from a page of metrics.
func counter(page, result string) float64 {
	found := regexp.MustCompile(`(?m)^wsproxy_pushes_total\{result="` + result + `"\} (\S+)$`).FindStringSubmatch(page)
	if found == nil {
		return 0
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return 0
	}
	return value
}
