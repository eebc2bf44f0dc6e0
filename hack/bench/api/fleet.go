// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
)

// simulated is all pods without sockets.
type simulated struct{ pods []*pod }

func newSimulated(ctx context.Context, p *plane) (*simulated, error) {
	s := &simulated{}
	for number := range p.pods {
		pod, err := newPod(ctx, p.kube, p.ca, p.dir, number, p.proxies)
		if err != nil {
			return nil, fmt.Errorf("pod %d: %w", number, err)
		}
		s.pods = append(s.pods, pod)
	}
	return s, nil
}

// resize spreads n connections over the pods.
func (s *simulated) resize(n int) {
	for i, p := range s.pods {
		share := n / len(s.pods)
		if i < n%len(s.pods) {
			share++
		}
		p.resize(share)
	}
}

// of returns how many connections match, by the number of their pod and their own.
func (s *simulated) of(match func(pod, number int) bool) (n int) {
	for i, p := range s.pods {
		for _, c := range p.connections {
			if match(i, c.number) {
				n++
			}
		}
	}
	return n
}

// first selects the first pods that have no more than n connections together, at least
// one, and returns how many those have.
func (s *simulated) first(n, proxies int) (have int, selection url.Values) {
	var names []string
	for i, p := range s.pods {
		if i > 0 && have+len(p.connections) > n {
			break
		}
		have += len(p.connections)
		names = append(names, podName(i, proxies))
	}
	return have, url.Values{"labelSelector": {"wsproxy.io/pod in (" + strings.Join(names, ",") + ")"}}
}

// any returns the pod and the place in it of a connection, each as likely as any other.
func (s *simulated) any() (*pod, int) {
	for {
		p := s.pods[rand.IntN(len(s.pods))] // #nosec G404 -- no secret.
		if n := len(p.connections); n > 0 {
			return p, rand.IntN(n) // #nosec G404 -- no secret.
		}
	}
}
