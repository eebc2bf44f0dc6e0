// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// silent answers nothing, and counts how often it was asked.
type silent struct {
	client.Reader
	asked int
}

func (s *silent) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	s.asked++
	return errors.New("no answer")
}

func TestWhoReadsMetricsDoesNotFloodAnAPIServerThatFails(t *testing.T) {
	now, api := time.Now(), &silent{}
	c := NewCollector(api, "wsproxy-system", func() time.Time { return now })
	for range 10 {
		if n := testutil.CollectAndCount(c); n != 0 {
			t.Fatalf("%d values, and nobody knows", n)
		}
	}
	if now = now.Add(askedEvery); api.asked != 1 {
		t.Errorf("asked %d times", api.asked)
	}
	if testutil.CollectAndCount(c); api.asked != 2 {
		t.Error("not asked again")
	}
}
