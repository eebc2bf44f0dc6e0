// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes/fake"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/apiserver/throttle"
	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
)

// patience is how long a test waits for what should happen at once.
const patience = 30 * time.Second

// room is one server with its pods. Whoever calls says who they are in a header;
// "nobody" may do nothing.
type room struct {
	*testing.T
	authority *certstest.Authority
	port      int
	kube      *fake.Clientset
	// late, while it is locked, keeps the watch of pods from saying anything.
	late *sync.Mutex
	// version is the last resourceVersion of a pod: the made-up list gives none.
	version   *atomic.Int64
	clientDir string
	server    *apiserver.Server
	url       string
}

type change func(*apiserver.Config)

// podTimeout makes pods that do not answer cost the test less time.
func podTimeout(d time.Duration) change {
	return func(c *apiserver.Config) { c.Fleet.Timeout = d }
}

func newRoom(t *testing.T, changes ...change) *room {
	t.Helper()
	r := &room{T: t, authority: certstest.New(t), port: freePort(t), clientDir: t.TempDir(), late: &sync.Mutex{}, version: &atomic.Int64{}}
	r.kube = fake.NewClientset()
	writeClient(t, r.authority, r.clientDir)
	r.server, r.url = r.serve(changes...)
	return r
}

// replica is another server of the same pods; it returns its URL.
func (r *room) replica(changes ...change) string {
	r.Helper()
	_, at := r.serve(changes...)
	return at
}

func (r *room) serve(changes ...change) (*apiserver.Server, string) {
	r.Helper()
	config, err := apiserver.NewConfig("test")
	if err != nil {
		r.Fatal(err)
	}
	config.Generic.LoopbackClientConfig = &rest.Config{}
	config.Generic.ExternalAddress = "127.0.0.1:443"
	config.Generic.Authentication.Authenticator = authenticator.RequestFunc(byHeader)
	config.Generic.Authorization.Authorizer = authorizer.AuthorizerFunc(allButNobody)
	config.Fleet = fleet.Options{Pods: &podsOf{r.kube.CoreV1(), r.late}, ClientDir: r.clientDir, Port: r.port, Logger: klog.Background()}
	config.Changes = throttle.Options{PerSecond: 1000, Burst: 10_000}
	config.Sends = config.Changes
	for _, change := range changes {
		change(config)
	}
	server, err := config.Complete()
	if err != nil {
		r.Fatal(err)
	}
	server.Generic.PrepareRun()
	web := httptest.NewServer(server.Generic.Handler)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		server.Fleet.Run(ctx)
	}()
	r.Cleanup(func() {
		web.CloseClientConnections() // Watches would not end.
		web.Close()
		cancel()
		<-ran
		server.Generic.Destroy()
	})
	r.until("the pods are known", server.Fleet.Synced)
	return server, web.URL
}

// podsOf is what reads pods of the made-up list, which cannot stream one.
type podsOf struct {
	corev1client.PodsGetter
	late *sync.Mutex
}

// IsWatchListSemanticsUnSupported is what a reflector asks.
func (*podsOf) IsWatchListSemanticsUnSupported() bool { return true }

// Pods implements corev1client.PodsGetter.
func (p *podsOf) Pods(namespace string) corev1client.PodInterface {
	return latePods{p.PodsGetter.Pods(namespace), p.late}
}

type latePods struct {
	corev1client.PodInterface
	late *sync.Mutex
}

// Watch implements corev1client.PodInterface.
func (p latePods) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	events, err := p.PodInterface.Watch(ctx, o)
	if err != nil {
		return nil, err
	}
	return watch.Filter(events, func(e watch.Event) (watch.Event, bool) {
		p.late.Lock()
		defer p.late.Unlock()
		return e, true
	}), nil
}

func byHeader(request *http.Request) (*authenticator.Response, bool, error) {
	name := request.Header.Get("X-Test-User")
	return &authenticator.Response{User: &user.DefaultInfo{Name: name}}, name != "", nil
}

func allButNobody(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == "nobody" {
		return authorizer.DecisionDeny, "nobody may do nothing", nil
	}
	return authorizer.DecisionAllow, "", nil
}

func writeClient(t *testing.T, authority *certstest.Authority, dir string) {
	t.Helper()
	authority.Write(t, filepath.Join(dir, fleet.FileClientCert), filepath.Join(dir, fleet.FileClientKey), dataplanev1alpha1.ClientAPIServer)
	certstest.Replace(t, filepath.Join(dir, fleet.FileCA), authority.PEM())
}

// freePort is one that is free at the address 127.0.0.1, and so, most likely, at
// the addresses of pods.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// pod makes a pod that answers, and waits until the server knows it.
func (r *room) pod(namespace, proxy, name string) *pod {
	r.Helper()
	p := newPod(namespace, proxy, name, someUID())
	p.serve(r.T, r.authority, r.port)
	r.add(p)
	return p
}

// silentPod makes a pod that takes calls and never answers.
func (r *room) silentPod(namespace, proxy, name string) *pod {
	r.Helper()
	p := newPod(namespace, proxy, name, someUID())
	p.hang(r.T, r.authority, r.port)
	r.add(p)
	return p
}

func (r *room) add(p *pod) {
	r.Helper()
	r.create(p)
	r.until("the pod is known", func() bool { return r.knows(p) })
}

func (r *room) create(p *pod) {
	r.Helper()
	object := p.object()
	object.ResourceVersion = fmt.Sprint(r.version.Add(1))
	if _, err := r.kube.CoreV1().Pods(p.namespace).Create(r.Context(), object, metav1.CreateOptions{}); err != nil {
		r.Fatal(err)
	}
}

// update changes the Pod object.
func (r *room) update(p *pod, change func(*corev1.Pod)) {
	r.Helper()
	object := p.object()
	object.ResourceVersion = fmt.Sprint(r.version.Add(1))
	change(object)
	if _, err := r.kube.CoreV1().Pods(p.namespace).Update(r.Context(), object, metav1.UpdateOptions{}); err != nil {
		r.Fatal(err)
	}
}

func (r *room) remove(p *pod) {
	r.Helper()
	if err := r.kube.CoreV1().Pods(p.namespace).Delete(r.Context(), p.name, metav1.DeleteOptions{}); err != nil {
		r.Fatal(err)
	}
	r.until("the pod is forgotten", func() bool { return !r.knows(p) })
}

func (r *room) knows(p *pod) bool {
	return len(r.server.Fleet.Pods(func(known *fleet.Pod) bool { return known.String() == p.namespace+"/"+p.name })) > 0
}

// lists counts the lists of pods in a namespace that were asked for.
func (r *room) lists(namespace string) int {
	n := 0
	for _, a := range r.kube.Actions() {
		if a.GetVerb() == "list" && a.GetNamespace() == namespace {
			n++
		}
	}
	return n
}

func (r *room) until(what string, done func() bool) {
	r.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// path is that of a connection, or of all of a namespace, or of all.
func path(namespace string, rest ...string) string {
	p := "/apis/connections.wsproxy.io/v1alpha1"
	if namespace != "" {
		p += "/namespaces/" + namespace
	}
	return fmt.Sprintf("%s/websocketconnections%s", p, strings.Join(append([]string{""}, rest...), "/"))
}
