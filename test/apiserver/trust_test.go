// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/uuid"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
)

func TestTheSelectorIsThatOfTheOperatorsPods(t *testing.T) {
	selector, err := labels.Parse(fleet.Selector)
	if err != nil {
		t.Fatal(err)
	}
	if !selector.Matches(labels.Set(objects.Labels("echo"))) {
		t.Errorf("%s does not select %v", selector, objects.Labels("echo"))
	}
	for key := range objects.Labels("echo") {
		without := objects.Labels("echo")
		delete(without, key)
		if key != objects.LabelInstance && selector.Matches(labels.Set(without)) {
			t.Errorf("%s selects what has no %s", selector, key)
		}
	}
}

func TestCertificatesAreReplacedWithoutARestart(t *testing.T) {
	r := newRoom(t, podTimeout(5*time.Second))
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	r.get(path("shop", name)).object(http.StatusOK)
	for range 3 {
		r.authority = certstest.New(t)
		p.stop()
		writeClient(t, r.authority, r.clientDir)
		p.serve(t, r.authority, r.port)
		r.get(path("shop", name)).object(http.StatusOK)
	}
}

func TestAPodWithTheCertificateOfAnotherProxyIsNotBelieved(t *testing.T) {
	r := newRoom(t, podTimeout(200*time.Millisecond))
	want := r.pod("shop", "echo", "echo-a").connect(2)
	// It serves as a pod of "chat" and carries the labels of "echo".
	impostor := newPod("shop", "chat", "echo-b", someUID())
	impostor.serve(t, r.authority, r.port)
	name := impostor.connect(3)[0]
	impostor.proxy = "echo"
	r.add(impostor)
	a := r.get(path("shop"))
	if got := namesOf(a.list()); !slices.Equal(got, want) || !strings.Contains(a.header.Get("Warning"), "shop/echo-b") {
		t.Errorf("lists %v with warning %q", got, a.header.Get("Warning"))
	}
	s := r.get(path("shop", name)).refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	if !strings.Contains(s.Message, "pod shop/echo-b gave no answer") || strings.Contains(s.Message, "certificate") {
		t.Error(s.Message)
	}
}

// liar is a pod that says what it is told to.
type liar struct {
	dataplanev1alpha1.UnimplementedConnectionsServer
	says []*dataplanev1alpha1.Connection
}

// List implements the service.
func (l *liar) List(_ *dataplanev1alpha1.ListRequest, stream grpc.ServerStreamingServer[dataplanev1alpha1.ListResponse]) error {
	return stream.Send(&dataplanev1alpha1.ListResponse{Connections: l.says})
}

// Get implements the service.
func (l *liar) Get(_ context.Context, r *dataplanev1alpha1.GetRequest) (*dataplanev1alpha1.GetResponse, error) {
	for _, c := range l.says {
		if c.GetName() == r.GetName() {
			return &dataplanev1alpha1.GetResponse{Connection: c}, nil
		}
	}
	return nil, status.Error(codes.NotFound, "")
}

// Disconnect implements the service.
func (l *liar) Disconnect(ctx context.Context, r *dataplanev1alpha1.DisconnectRequest) (*dataplanev1alpha1.DisconnectResponse, error) {
	answer, err := l.Get(ctx, &dataplanev1alpha1.GetRequest{Name: r.GetName()})
	return &dataplanev1alpha1.DisconnectResponse{Connection: answer.GetConnection()}, err
}

// saying is a connection that can be believed.
func saying(name string) *dataplanev1alpha1.Connection {
	return &dataplanev1alpha1.Connection{
		Name: name, Uid: string(uuid.NewUUID()), Phase: dataplanev1alpha1.Phase_PHASE_OPEN,
		ConnectedAt: timestamppb.Now(), LastActiveAt: timestamppb.Now(),
	}
}

// run answers at the pod's address with any server.
func (r *room) run(p *pod, connections dataplanev1alpha1.ConnectionsServer, options ...grpc.ServerOption) {
	r.Helper()
	pair := r.authority.Pair(r.T, dataplanev1alpha1.ServerName(p.namespace, p.proxy))
	server := grpc.NewServer(append(options, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))...)
	dataplanev1alpha1.RegisterConnectionsServer(server, connections)
	p.run(r.T, r.port, server.Serve, server.Stop)
	r.add(p)
}

func TestAPodCannotSpeakForAnother(t *testing.T) {
	r := newRoom(t)
	honest := r.pod("shop", "echo", "echo-a")
	want := honest.connect(2)
	for i, lies := range [][]string{
		{want[0]},
		{"chat"},
		{"%s-00000001", "%s-00000000"},
		{"%s-00000001", "%s-00000001"},
	} {
		p := newPod("shop", "liar", fmt.Sprintf("liar-%d", i), someUID())
		l := &liar{}
		for _, name := range lies {
			l.says = append(l.says, saying(strings.Replace(name, "%s", string(p.id), 1)))
		}
		r.run(p, l)
		a := r.get(path("shop"))
		var got []string
		for _, c := range a.list().Items {
			if c.Spec.Proxy == "echo" {
				got = append(got, c.Name)
			} else if !strings.HasPrefix(c.Name, string(p.id)) {
				t.Errorf("%s is listed as of %s", c.Name, c.Spec.Pod)
			}
		}
		if !slices.Equal(got, want) || !strings.Contains(a.header.Get("Warning"), "shop/"+p.name) {
			t.Errorf("%v: lists %v, warning %q", lies, got, a.header.Get("Warning"))
		}
		r.remove(p)
		p.stop()
	}
}

func TestAPodCannotMakeAListUnreadable(t *testing.T) {
	r := newRoom(t)
	want := r.pod("shop", "echo", "echo-a").connect(2)
	p := newPod("mallory", "liar", "liar-a", someUID())
	name := string(p.id) + "-00000001"
	bad := saying(name)
	bad.ConnectedAt = timestamppb.New(time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC))
	r.run(p, &liar{says: []*dataplanev1alpha1.Connection{bad}})
	a := r.get(path(""))
	if got := namesOf(a.list()); !slices.Equal(got, want) || !strings.Contains(a.header.Get("Warning"), "mallory/liar-a") {
		t.Errorf("lists %v, warning %q", got, a.header.Get("Warning"))
	}
	r.get(path("mallory", name)).refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "")
	if a := r.call(call{method: http.MethodDelete, path: path("mallory", name)}); a.code < 500 || strings.Contains(string(a.body), "20000") {
		t.Errorf("a delete is answered %d: %s", a.code, a.body)
	}
}

// A pod that goes on listing is cut off before it has filled the memory.
func TestAPodThatListsWithoutEnd(t *testing.T) {
	r := newRoom(t)
	want := r.pod("shop", "echo", "echo-a").connect(2)
	for what, text := range map[string]string{"many": "", "large": strings.Repeat("x", 4000)} {
		p := newPod("mallory", "liar", "liar-"+what, someUID())
		e := &endless{pod: p, text: text}
		r.run(p, e)
		result, err := r.server.Fleet.List(t.Context(), fleet.Query{})
		if err != nil || len(result.Unanswered) != 1 || result.Unanswered[0].Pod.Name != p.name {
			t.Errorf("%s: %v, unanswered: %v", what, err, result.Unanswered)
		}
		names := map[string]bool{}
		for _, e := range result.Entries {
			names[e.Connection.GetName()] = true
		}
		if !names[want[0]] || !names[want[1]] || len(names) > 100_002 {
			t.Errorf("%s: lists %d", what, len(names))
		}
		if mib := e.sent.Load() >> 20; mib > 128 {
			t.Errorf("%s: %d MiB were taken", what, mib)
		}
		r.remove(p)
		p.stop()
	}
}

// endless lists connections for ever.
type endless struct {
	dataplanev1alpha1.UnimplementedConnectionsServer
	pod  *pod
	text string
	sent atomic.Int64
}

// List implements the service.
func (e *endless) List(_ *dataplanev1alpha1.ListRequest, stream grpc.ServerStreamingServer[dataplanev1alpha1.ListResponse]) error {
	for n := 0; ; {
		chunk := &dataplanev1alpha1.ListResponse{}
		for range 500 {
			c := saying(fmt.Sprintf("%s-%08d", e.pod.id, n))
			c.Path = e.text
			chunk.Connections = append(chunk.Connections, c)
			n++
		}
		if err := stream.Send(chunk); err != nil {
			return err
		}
		e.sent.Add(int64(proto.Size(chunk)))
	}
}

// A pod that says something now and then does not hold up a list for ever.
func TestAPodThatTrickles(t *testing.T) {
	const timeout = 300 * time.Millisecond
	r := newRoom(t, podTimeout(timeout))
	p := newPod("mallory", "liar", "liar-a", someUID())
	r.run(p, &trickle{pod: p, every: timeout / 3})
	a := r.get(path("mallory"))
	if !strings.Contains(a.header.Get("Warning"), "mallory/liar-a") {
		t.Errorf("warning %q", a.header.Get("Warning"))
	}
}

// trickle lists a connection every now and then, for ever.
type trickle struct {
	dataplanev1alpha1.UnimplementedConnectionsServer
	pod   *pod
	every time.Duration
}

// List implements the service.
func (e *trickle) List(_ *dataplanev1alpha1.ListRequest, stream grpc.ServerStreamingServer[dataplanev1alpha1.ListResponse]) error {
	for n := 0; ; n++ {
		c := saying(fmt.Sprintf("%s-%08d", e.pod.id, n))
		if err := stream.Send(&dataplanev1alpha1.ListResponse{Connections: []*dataplanev1alpha1.Connection{c}}); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(e.every):
		}
	}
}
