// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/watch"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// newer is a phase that this release does not know.
const newer = dataplanev1alpha1.Phase_PHASE_CLOSING + 1

// Pods may be of a newer release, and others of this one. What only they know hides
// nothing that both know.
func TestAPodOfANewerReleaseIsListedAndWatched(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	names := p.connect(2)
	w := r.watch("shop", withState)
	w.wantState(names)

	p.connections[names[0]].become(newer)
	p.report(names[0], newer, "10.0.0.7:8080")
	if c := w.want(watch.Modified, names[0]); c.Status.Phase != connectionsv1alpha1.ConnectionUnknown {
		t.Errorf("the watch says %q", c.Status.Phase)
	}
	l := r.get(path("shop")).list()
	if !slices.Equal(namesOf(l), names) || len(l.Annotations) > 0 || l.Items[0].Status.Phase != connectionsv1alpha1.ConnectionUnknown || l.Items[1].Status.Phase != connectionsv1alpha1.ConnectionOpen {
		t.Errorf("listed %+v", l)
	}
	if c := r.get(path("shop", names[0])).object(http.StatusOK); c.Status.Phase != connectionsv1alpha1.ConnectionUnknown || c.Status.FromUpstream.Messages != 12_345 {
		t.Errorf("got %+v", c.Status)
	}
	if l := r.get(path("shop") + "?fieldSelector=status.phase%3DUnknown").list(); !slices.Equal(namesOf(l), names[:1]) {
		t.Errorf("selected %v", namesOf(l))
	}
	// It can be ended like any other.
	r.call(call{method: http.MethodPost, path: path("shop", names[0], "disconnect"), body: `{"code":4001}`})
	if got := p.ended(); !slices.Equal(got, names[:1]) {
		t.Errorf("ended %v", got)
	}

	how := ending("Weather", "Thunder", 4001, "it rained")
	how.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "lightning"))
	p.end(how, names[1])
	var c connectionsv1alpha1.ClosedWebSocketConnection
	r.get(closedPath("shop", names[1])).into(http.StatusOK, &c)
	if c.Status.By != "Weather" || c.Status.Cause != "Thunder" || c.Status.Reason != "it rained" {
		t.Errorf("it ended by %+v", c.Status)
	}
}

// become says that the connection is in a phase.
func (c *connection) become(phase dataplanev1alpha1.Phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = phase
}
