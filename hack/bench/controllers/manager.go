// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"k8s.io/client-go/rest"

	"github.com/wsproxy/wsproxy/hack/bench/proc"
)

const (
	managerName = "kube-controller-manager"
	ownAccounts = "--use-service-account-credentials"
	// verbose lets the garbage collector say which resources it watches.
	verbose = "graph_builder=4"
	// What the garbage collector says when it begins.
	saysSynced = "Garbage collector: all resource monitors have synced"
	saysNot    = "Garbage collector: not all resource monitors could be synced"
)

// saysWatched is how it names our resource among those that it watches.
var saysWatched = regexp.MustCompile(`"using a shared informer".*Resource=websocketconnections"`)

// manager is the cluster's kube-controller-manager, and beside it the kube-scheduler,
// which is made anew at the same moments, has nothing to do with connections, and so
// tells what they do to everything that runs on the same cores.
type manager struct {
	*component
	scheduler *component
	client    *http.Client
}

func findManager(state string, admin *rest.Config) (*manager, error) {
	m := &manager{}
	var err error
	if m.component, err = findComponent(state, managerName); err != nil {
		return nil, err
	}
	if m.scheduler, err = findComponent(state, "kube-scheduler"); err != nil {
		return nil, err
	}
	// Its certificate is one that it made for itself, on this machine.
	own := rest.CopyConfig(admin)
	own.CAData, own.CAFile, own.Insecure = nil, "", true
	m.client, err = rest.HTTPClientFor(own)
	return m, err
}

// restart makes new ones, and returns when the garbage collector has begun. The error
// says what the garbage collector lacks.
func (m *manager) restart(ctx context.Context, ownCredentials bool) error {
	if _, err := m.scheduler.restart(nil); err != nil {
		return err
	}
	from, err := m.component.restart(map[string]string{ownAccounts: strconv.FormatBool(ownCredentials), "--vmodule": verbose})
	if err != nil {
		return err
	}
	return eventually(ctx, time.Minute, func() error { return synced(m.said(from)) })
}

// synced returns nil where the log says that every monitor has synced, and that there
// is one of our resource.
func synced(log []byte) error {
	switch {
	case bytes.Contains(log, []byte(saysNot)):
		return errors.New("it says: " + saysNot)
	case !bytes.Contains(log, []byte(saysSynced)):
		return errors.New("the garbage collector has not begun")
	case !saysWatched.Match(log):
		return errors.New("the garbage collector does not watch connections")
	default:
		return nil
	}
}

// cost is what it has taken so far.
type cost struct {
	cpu time.Duration
	// other is the CPU time of kube-scheduler.
	other time.Duration
	// pss and heap are bytes: of the process, and of what it uses of its heap.
	pss, heap int64
	// failures counts how often the garbage collector's monitors were not in sync.
	failures float64
}

func (m *manager) cost(ctx context.Context) (c cost, err error) {
	page, err := m.metrics(ctx)
	if err != nil {
		return c, err
	}
	heap, err := metric(page, "go_memstats_heap_inuse_bytes")
	if err != nil {
		return c, err
	}
	c.heap = int64(heap)
	if c.failures, err = metric(page, "garbagecollector_controller_resources_sync_error_total"); err != nil {
		return c, err
	}
	if c.pss, err = proc.PSSOf(m.pid); err != nil {
		return c, err
	}
	if c.other, err = proc.CPUOf(m.scheduler.pid); err != nil {
		return c, err
	}
	c.cpu, err = proc.CPUOf(m.pid)
	return c, err
}

func (m *manager) metrics(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://127.0.0.1:10257/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := m.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("metrics of %s: %s: %s", managerName, response.Status, body)
	}
	return string(body), err
}

// metric reads a metric without labels from a page.
func metric(page, name string) (float64, error) {
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(page)
	if found == nil {
		return 0, fmt.Errorf("%s has no metric %s", managerName, name)
	}
	return strconv.ParseFloat(found[1], 64)
}
