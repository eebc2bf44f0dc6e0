// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
	"github.com/wsproxy/wsproxy/controllers/certificates"
	"github.com/wsproxy/wsproxy/dataplane/certs"
	"github.com/wsproxy/wsproxy/dataplane/config"
	"github.com/wsproxy/wsproxy/dataplane/control"
	"github.com/wsproxy/wsproxy/dataplane/registry"
)

// rotations is how many authorities take over while the requests go on.
const rotations = 3

// stepwise is a policy by which an authority that is made now is due after 16 hours,
// and what it and its successors sign is valid by the real clock however far the
// operator's is ahead: never more than Skew.
var stepwise = certificates.Policy{CAValidity: 6 * day, LeafValidity: 6 * day, Overlap: 6 * time.Hour, Skew: 10 * day}

const day = 24 * time.Hour

// The operator's clock moves when the test says so. What must happen within the
// overlap are the kubelets' work, which this test does and waits for, and the looks of
// those who hold certificates; how long that takes depends on how busy the machine is.
func TestNoRequestFailsWhileTheAuthorityRotates(t *testing.T) {
	r := newRoom(t)
	clock := &clock{room: r, begin: time.Now()}
	startOperator(t, r.namespace, func(o *controllers.Options) { o.Certificates, o.Now = stepwise, clock.now })
	r.proxy("echo")
	own, pods := r.mount(apiservice.SecretName), r.mount("echo-wsproxy")
	aggregated, dataplane := r.aggregated(own), r.dataplane(pods)
	r.throughKubernetes(aggregated)
	clients := map[string]*caller{
		"through kube-apiserver":      {call: throughAggregation(t)},
		"by the caBundle":             {call: r.byBundle(aggregated)},
		"of a data-plane pod":         {call: ofDataplane(own, dataplane, dataplanev1alpha1.ServerName(r.namespace, "echo"))},
		"of a data-plane pod, always": {call: lasting(t, own, dataplane, dataplanev1alpha1.ServerName(r.namespace, "echo"))},
	}
	for name, c := range clients {
		// The first answer takes a moment: kube-apiserver has to learn of us.
		r.eventually(func() error {
			if err := c.call(t.Context()); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	for _, c := range clients {
		go func() { c.run(ctx); ended <- struct{}{} }()
	}

	for range rotations {
		signs := r.signs()
		clock.advance((2*stepwise.CAValidity - stepwise.Skew) / 3)
		r.eventually(func() error {
			if secret := get[corev1.Secret](r, controllers.AuthoritySecret); len(secret.Data["next.distributed"]) == 0 {
				return errors.New("not everybody has been given the next authority")
			}
			return nil
		})
		r.mounted(own, apiservice.SecretName)
		r.mounted(pods, "echo-wsproxy")
		r.goOn(clients)
		if now := r.signs(); now != signs {
			t.Fatal("the next authority signs before the overlap is over")
		}
		clock.advance(stepwise.Overlap + time.Minute)
		r.eventually(func() error {
			if r.signs() == signs {
				return errors.New("the same authority signs")
			}
			return nil
		})
		r.mounted(own, apiservice.SecretName)
		r.mounted(pods, "echo-wsproxy")
		r.goOn(clients)
	}
	stop()
	for range clients {
		<-ended
	}
	for name, c := range clients {
		t.Logf("%s: %d answers", name, c.answered.Load())
		if n := c.failed.Load(); n > 0 {
			t.Errorf("%s: %d of %d failed, the first: %v", name, n, n+c.answered.Load(), c.first)
		}
	}
}

// clock is that of an operator, which looks at its authority when it is moved.
type clock struct {
	room  *room
	begin time.Time
	ahead atomic.Int64
}

func (c *clock) now() time.Time { return c.begin.Add(time.Duration(c.ahead.Load())) }

func (c *clock) advance(d time.Duration) {
	c.room.Helper()
	c.room.patch(get[corev1.Secret](c.room, controllers.AuthoritySecret), `{"metadata":{"annotations":{"test/clock":"%d"}}}`, c.ahead.Add(int64(d)))
}

// signs is the authority by which the aggregated API server is known to pods.
func (r *room) signs() string {
	r.Helper()
	return string(parseAll(r.T, get[corev1.Secret](r, apiservice.SecretName).Data["client.crt"])[0].AuthorityKeyId)
}

// mounted waits until a directory has what the Secret holds.
func (r *room) mounted(dir, secret string) {
	r.Helper()
	r.eventually(func() error {
		for name, want := range get[corev1.Secret](r, secret).Data {
			have, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			if !bytes.Equal(have, want) {
				return fmt.Errorf("%s has another %s", dir, name)
			}
		}
		return nil
	})
}

// goOn lets the clients make requests, for two seconds and longer where the machine
// is busy: a data plane looks at its files once a second, kube-apiserver is told of a
// changed caBundle, the others look at each handshake.
func (r *room) goOn(clients map[string]*caller) {
	r.Helper()
	time.Sleep(2 * time.Second) // It is the time by which they look.
	for name, c := range clients {
		before := c.answered.Load() + c.failed.Load()
		r.eventually(func() error {
			if n := c.answered.Load() + c.failed.Load() - before; n < 20 {
				return fmt.Errorf("%s: %d requests", name, n)
			}
			return nil
		})
	}
}

// caller makes one request after the other.
type caller struct {
	call func(context.Context) error

	answered, failed atomic.Int64
	// first is the first failure; it is read after the end.
	first error
}

func (c *caller) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.call(ctx)
		switch {
		case err == nil:
			c.answered.Add(1)
		case ctx.Err() == nil:
			if c.failed.Add(1) == 1 {
				c.first = fmt.Errorf("at %s: %w", time.Now().Format(time.StampMilli), err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// aggregated serves what kube-apiserver asks an aggregated API server for, with
// the certificate that the files have at each handshake, and one handshake for
// each request. It returns the address.
func (r *room) aggregated(dir string) *net.TCPAddr {
	r.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"connections.wsproxy.io/v1alpha1","resources":[]}`)
		}),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return pairOf(dir, "tls")
		}},
		// Before the caBundle is there, kube-apiserver says that it trusts nobody.
		ErrorLog: log.New(io.Discard, "", 0),
		// Without HTTP/2, which kube-apiserver would keep open.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	s.SetKeepAlivesEnabled(false)
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(listener, "", "") }()
	r.Cleanup(func() {
		s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			r.Error(err)
		}
	})
	return listener.Addr().(*net.TCPAddr)
}

// pairOf reads a certificate and its key from one state of a mounted Secret.
func pairOf(dir, name string) (*tls.Certificate, error) {
	data, err := filepath.EvalSymlinks(filepath.Join(dir, "..data"))
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(data, name+".crt"), filepath.Join(data, name+".key"))
	return &pair, err
}

// dataplane serves the control protocol as a pod does and returns its address.
func (r *room) dataplane(dir string) string {
	r.Helper()
	initial, err := config.Compile(&dataplanev1alpha1.Snapshot{
		Namespace: r.namespace, Proxy: "echo",
		Settings: &dataplanev1alpha1.Settings{ConnectTimeout: 30},
		Upstream: &dataplanev1alpha1.Upstream{Service: true},
	})
	if err != nil {
		r.Fatal(err)
	}
	s := control.New(control.Options{
		Store:    config.NewStore(initial, r.TempDir()),
		Registry: registry.New(registry.NewPodID("a pod", time.Now())),
		Drain:    func() {},
		Draining: func() bool { return false },
		Certs:    certs.NewDir(dir, logr.Discard()),
		Logger:   logr.Discard(),
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	r.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s.Stop(ended)
		if err := <-served; err != nil {
			r.Error(err)
		}
	})
	return listener.Addr().String()
}

// throughKubernetes makes Service and APIService lead to that address. (Loopback
// addresses may not be endpoints, but a name may be.)
func (r *room) throughKubernetes(address *net.TCPAddr) {
	r.Helper()
	service := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: address.IP.String()}}
	service.Name = apiservice.Service
	r.create(service)
	r.apiService(apiservice.Service, int64(address.Port))
}

// throughAggregation asks kube-apiserver, which asks the aggregated API server.
// There is no second try.
func throughAggregation(t *testing.T) func(context.Context) error {
	t.Helper()
	client, err := rest.HTTPClientFor(server.config)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.JoinPath(server.config.Host, "/apis/connections.wsproxy.io/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) error { return ask(ctx, client, address) }
}

// byBundle asks the aggregated API server itself, and trusts whom the APIService
// says, as of each request.
func (r *room) byBundle(address *net.TCPAddr) func(context.Context) error {
	return func(ctx context.Context) error {
		_, bundle, err := readAPIService(ctx, r.api)
		if err != nil {
			return err
		}
		trusted := x509.NewCertPool()
		if !trusted.AppendCertsFromPEM(bundle) {
			return errors.New("no caBundle")
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS13, RootCAs: trusted, ServerName: apiservice.Service + "." + r.namespace + ".svc",
		}}
		defer transport.CloseIdleConnections()
		return ask(ctx, &http.Client{Transport: transport}, "https://"+address.String())
	}
}

func ask(ctx context.Context, client *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}

// toDataplane is a connection that is made with what the Secret has now.
func toDataplane(dir, address, name string) (*grpc.ClientConn, error) {
	pair, err := pairOf(dir, "client")
	if err != nil {
		return nil, err
	}
	trusted, err := certs.NewBundle(filepath.Join(dir, "ca.crt"), logr.Discard()).Current()
	if err != nil {
		return nil, err
	}
	return grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: name, RootCAs: trusted, Certificates: []tls.Certificate{*pair},
	})))
}

// list lists the connections of a pod, of which there are none.
func list(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := dataplanev1alpha1.NewConnectionsClient(conn).List(ctx, &dataplanev1alpha1.ListRequest{})
	if err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// ofDataplane makes a connection for each request.
func ofDataplane(dir, address, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := toDataplane(dir, address, name)
		if err != nil {
			return err
		}
		defer conn.Close()
		return list(ctx, conn)
	}
}

// lasting makes one connection and keeps it.
func lasting(t *testing.T, dir, address, name string) func(context.Context) error {
	t.Helper()
	conn, err := toDataplane(dir, address, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func(ctx context.Context) error { return list(ctx, conn) }
}
