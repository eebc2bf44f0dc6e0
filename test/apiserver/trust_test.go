// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

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

// liar is a pod that lists what it is told to.
type liar struct {
	dataplanev1alpha1.UnimplementedConnectionsServer
	names []string
}

// List implements the service.
func (l *liar) List(_ *dataplanev1alpha1.ListRequest, stream grpc.ServerStreamingServer[dataplanev1alpha1.ListResponse]) error {
	chunk := &dataplanev1alpha1.ListResponse{}
	for _, name := range l.names {
		chunk.Connections = append(chunk.Connections, &dataplanev1alpha1.Connection{Name: name})
	}
	return stream.Send(chunk)
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
			l.names = append(l.names, strings.Replace(name, "%s", string(p.id), 1))
		}
		pair := r.authority.Pair(t, dataplanev1alpha1.ServerName("shop", "liar"))
		server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
		dataplanev1alpha1.RegisterConnectionsServer(server, l)
		p.run(t, r.port, server.Serve, server.Stop)
		r.add(p)
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
