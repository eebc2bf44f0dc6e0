// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

var phases = map[dataplanev1alpha1.Phase]connectionsv1alpha1.ConnectionPhase{
	dataplanev1alpha1.Phase_PHASE_CONNECTING:   connectionsv1alpha1.ConnectionConnecting,
	dataplanev1alpha1.Phase_PHASE_OPEN:         connectionsv1alpha1.ConnectionOpen,
	dataplanev1alpha1.Phase_PHASE_RECONNECTING: connectionsv1alpha1.ConnectionReconnecting,
	dataplanev1alpha1.Phase_PHASE_CLOSING:      connectionsv1alpha1.ConnectionClosing,
}

// phaseOf has a word for every phase: a pod may be of a newer release and know more
// of them.
func phaseOf(p dataplanev1alpha1.Phase) connectionsv1alpha1.ConnectionPhase {
	if word, known := phases[p]; known {
		return word
	}
	return connectionsv1alpha1.ConnectionUnknown
}

// objectOf returns the object that stands for a connection. Namespace, proxy and
// pod are those of the pod that was asked, whatever it says.
func objectOf(e fleet.Entry) *connectionsv1alpha1.WebSocketConnection {
	c := e.Connection
	object := &connectionsv1alpha1.WebSocketConnection{
		ObjectMeta: metaOf(e, timeOf(c.GetConnectedAt())),
		Spec:       specOf(e),
		Status: connectionsv1alpha1.WebSocketConnectionStatus{
			Phase:                  phaseOf(c.GetPhase()),
			LastActiveAt:           metav1.NewMicroTime(timeOf(c.GetLastActiveAt())),
			FromClient:             trafficOf(c.GetFromClient()),
			FromUpstream:           trafficOf(c.GetFromUpstream()),
			Upstream:               c.GetUpstream(),
			Reconnects:             c.GetReconnects(),
			Reconnectable:          c.GetReconnectable(),
			NotReconnectableReason: c.GetNotReconnectableReason(),
			PossiblyLost:           c.GetPossiblyLost(),
		},
	}
	if c.GetClosingSince() != nil {
		object.DeletionTimestamp = new(metav1.NewTime(timeOf(c.GetClosingSince())))
	}
	return object
}

// metaOf is the metadata of an object that is there since then.
func metaOf(e fleet.Entry, since time.Time) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:              e.Connection.GetName(),
		Namespace:         e.Pod.Namespace,
		UID:               types.UID(e.Connection.GetUid()),
		ResourceVersion:   versionOf(e.Connection),
		CreationTimestamp: metav1.NewTime(since.Truncate(time.Second)),
		Labels:            labelsOf(e.Pod),
	}
}

func specOf(e fleet.Entry) connectionsv1alpha1.WebSocketConnectionSpec {
	c := e.Connection
	return connectionsv1alpha1.WebSocketConnectionSpec{
		Proxy: e.Pod.Proxy,
		Pod:   e.Pod.Name,
		Client: connectionsv1alpha1.Client{
			SourceIP:  c.GetSourceIp(),
			UserAgent: c.GetUserAgent(),
			Origin:    c.GetOrigin(),
		},
		Path:        c.GetPath(),
		Subprotocol: c.GetSubprotocol(),
		ConnectedAt: metav1.NewMicroTime(timeOf(c.GetConnectedAt())),
	}
}

// labelsOf returns the labels of every connection of a pod.
func labelsOf(p *fleet.Pod) labels.Set {
	return labels.Set{wsproxyv1alpha1.LabelProxy: p.Proxy, wsproxyv1alpha1.LabelPod: p.Name}
}

func trafficOf(t *dataplanev1alpha1.Traffic) connectionsv1alpha1.Traffic {
	return connectionsv1alpha1.Traffic{Messages: t.GetMessages(), Bytes: t.GetBytes()}
}

// timeOf returns the zero time for an absent one, which JSON shows as null.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
