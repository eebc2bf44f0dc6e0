// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/encoding/protojson"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/bench/proc"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// realProxy is the proxy of the pod that has clients.
const realProxy = "real"

// clientPod is one data plane, the program itself, with an upstream.
type clientPod struct {
	plane   *plane
	url     string
	process *proc.Group
	back    *http.Server
}

// newClientPod starts it as one more pod of the fleet.
func newClientPod(ctx context.Context, p *plane) (*clientPod, error) {
	ip, dir := addressOf(p.pods), filepath.Join(p.dir, realProxy)
	uid, err := createPod(ctx, p.kube, realProxy, realProxy, ip)
	if err != nil {
		return nil, err
	}
	if err := writeControl(p.ca, dir, realProxy); err != nil {
		return nil, err
	}
	r := &clientPod{plane: p, url: fmt.Sprintf("ws://%s:%d/", ip, dataplanev1alpha1.PortTraffic)}
	address, err := r.upstream()
	if err != nil {
		return nil, err
	}
	snapshot, err := protojson.Marshal(&dataplanev1alpha1.Snapshot{
		Namespace: namespace, Proxy: realProxy,
		Settings: &dataplanev1alpha1.Settings{ConnectionLostTimeout: 60, ReuseAddr: true, ConnectTimeout: 30},
		Upstream: &dataplanev1alpha1.Upstream{Service: true, Endpoints: []*dataplanev1alpha1.Endpoint{{Address: address}}},
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, dataplanev1alpha1.SnapshotFile)
	if err := os.WriteFile(file, snapshot, 0o600); err != nil {
		return nil, err
	}
	at := func(port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }
	r.process, err = proc.Start(ctx, proc.Command{
		Env: []string{dataplanev1alpha1.EnvPodUID + "=" + uid},
		Log: filepath.Join(dir, "log"),
		Args: []string{
			p.dataplane, "--config=" + file, "--secret-dir=" + dir, "--listen-address=" + at(dataplanev1alpha1.PortTraffic),
			"--control-address=" + at(dataplanev1alpha1.PortControl), "--metrics-address=" + at(dataplanev1alpha1.PortMetrics),
		},
	})
	return r, err
}

func (r *clientPod) stop() {
	if r.process != nil {
		r.process.Stop()
	}
	_ = r.back.Close() // Nobody asks any more.
}

// upstream takes connections and reads from them.
func (r *clientPod) upstream() (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	upgrader := &websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	r.back = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		conn, err := upgrader.Upgrade(w, request, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for err == nil {
			_, _, err = conn.ReadMessage() // It answers a close frame.
		}
	})}
	go func() { _ = r.back.Serve(l) }() // Who dials finds out.
	return l.Addr().String(), nil
}

// ends is how long it took from the request to end a connection until its client had
// the close frame, and until the request was answered.
type ends struct {
	way             string
	closed, settled []float64
}

// end measures one connection.
func (r *clientPod) end(ctx context.Context, c *caller, into *ends) error {
	conn, response, err := websocket.DefaultDialer.DialContext(ctx, r.url, nil)
	if err != nil {
		return errors.Join(err, r.ended())
	}
	defer conn.Close()
	defer response.Body.Close()
	closed := make(chan time.Time, 1)
	var said error
	go func() {
		_, _, said = conn.ReadMessage()
		closed <- time.Now()
	}()
	// Who waits for the next connection, not for this one, has one that is quiet.
	time.Sleep(10 * time.Millisecond)
	began := time.Now()
	if err := c.disconnect(ctx, response.Header.Get(fleet.HeaderConnectionID)); err != nil {
		return err
	}
	into.settled = append(into.settled, time.Since(began).Seconds())
	select {
	case at := <-closed:
		into.closed = append(into.closed, at.Sub(began).Seconds())
	case <-time.After(10 * time.Second):
		return errors.New("the client got no close frame within 10 s")
	}
	if !websocket.IsCloseError(said, 4000) {
		return fmt.Errorf("the client got %w, not the code of the request", said)
	}
	return nil
}

// ends measures n connections of each caller, in turn.
func (r *clientPod) ends(ctx context.Context, callers []*caller, n int) ([]ends, error) {
	all := make([]ends, len(callers))
	for i, c := range callers {
		all[i].way = c.name
	}
	for range n {
		for i, c := range callers {
			if err := r.end(ctx, c, &all[i]); err != nil {
				return nil, fmt.Errorf("end a connection, %s: %w", c.name, err)
			}
		}
	}
	return all, nil
}

// listens waits until clients are taken and the apiserver knows the pod.
func (r *clientPod) listens(ctx context.Context, c *caller) error {
	for attempt := 0; ; attempt++ {
		err := r.end(ctx, c, &ends{})
		if err == nil || attempt == 50 || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (r *clientPod) ended() error {
	select {
	case <-r.process.Done():
		return r.process.Ended()
	default:
		return nil
	}
}
