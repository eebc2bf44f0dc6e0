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
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"github.com/wsproxy/wsproxy/hack/bench/proc"
)

const (
	managerName = "kube-controller-manager"
	ownAccounts = "--use-service-account-credentials="
	// verbose lets the garbage collector say which resources it watches.
	verbose = "--vmodule=graph_builder=4"
	// What the garbage collector says when it begins.
	saysSynced = "Garbage collector: all resource monitors have synced"
	saysNot    = "Garbage collector: not all resource monitors could be synced"
)

// saysWatched is how it names our resource among those that it watches.
var saysWatched = regexp.MustCompile(`"using a shared informer".*Resource=websocketconnections"`)

// manager is the cluster's kube-controller-manager, of which this program makes new
// ones.
type manager struct {
	// state is the folder of the cluster.
	state     string
	client    *http.Client
	arguments []string
	env       []string
	pid       int
}

// findManager finds the one that hack/cluster has started.
func findManager(state string, admin *rest.Config) (*manager, error) {
	m := &manager{state: state}
	raw, err := os.ReadFile(m.pidFile())
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", managerName, err)
	}
	if m.pid, err = strconv.Atoi(strings.TrimSpace(string(raw))); err != nil {
		return nil, err
	}
	if m.arguments, err = m.strings("cmdline"); err != nil {
		return nil, err
	}
	if m.env, err = m.strings("environ"); err != nil {
		return nil, err
	}
	if len(m.arguments) == 0 || filepath.Base(m.arguments[0]) != managerName {
		return nil, fmt.Errorf("process %d is %q, not %s", m.pid, m.arguments, managerName)
	}
	// Its certificate is one that it made for itself, on this machine.
	own := rest.CopyConfig(admin)
	own.CAData, own.CAFile, own.Insecure = nil, "", true
	m.client, err = rest.HTTPClientFor(own)
	return m, err
}

func (m *manager) pidFile() string { return filepath.Join(m.state, "pids", managerName) }
func (m *manager) logFile() string { return filepath.Join(m.state, "logs", managerName+".log") }

// strings reads texts that end with a zero from /proc.
func (m *manager) strings(file string) ([]string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", m.pid, file))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.Trim(string(raw), "\x00"), "\x00"), nil
}

// restart makes a new one, and returns when its garbage collector has begun. The error
// says what the garbage collector lacks.
func (m *manager) restart(ctx context.Context, ownCredentials bool) error {
	if err := m.kill(); err != nil {
		return err
	}
	log, err := os.OpenFile(m.logFile(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	arguments := slices.DeleteFunc(slices.Clone(m.arguments[1:]), func(a string) bool {
		return strings.HasPrefix(a, ownAccounts) || strings.HasPrefix(a, "--vmodule=")
	})
	// It outlives this program, as it did hack/cluster.
	command := exec.Command(m.arguments[0], append(arguments, ownAccounts+strconv.FormatBool(ownCredentials), verbose)...) // #nosec G204 -- what ran before.
	command.Env, command.Stdout, command.Stderr = m.env, log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return err
	}
	go func() { _ = command.Wait() }() // Whoever asks it finds out.
	m.pid = command.Process.Pid
	if err := os.WriteFile(m.pidFile(), fmt.Appendln(nil, m.pid), 0o600); err != nil {
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

// kill ends it and waits until it is gone.
func (m *manager) kill() error {
	if err := syscall.Kill(m.pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("end %s: %w", managerName, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", m.pid))
		// There is none of one who is gone, and a zombie has none.
		if len(line) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not end", managerName)
		}
	}
}

// said is its log from a place on.
func (m *manager) said(from int64) []byte {
	log, err := os.Open(m.logFile())
	if err != nil {
		return nil
	}
	defer log.Close()
	text, _ := io.ReadAll(io.NewSectionReader(log, from, 64<<20)) // What there is of it.
	return text
}

// cost is what it has taken so far.
type cost struct {
	cpu time.Duration
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
