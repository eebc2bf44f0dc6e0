// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package push

import (
	"crypto/sha256"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// Target is a pod to push to.
type Target struct {
	// Name of the pod.
	Name string
	UID  types.UID
	// Run tells one run of the data-plane container from the next, as
	// Kubernetes reports it. Another one makes the pusher ask the pod again.
	Run string
	// Address of the pod's control port, host:port.
	Address string
}

// Pod is what is known of a pod.
type Pod struct {
	Target
	// Acknowledged says that the pod has the content that is wanted now.
	Acknowledged bool
	// Version is the version that the pod answered with last; 0 before.
	Version uint64
	// Connections is the number of live connections, as of the last answer.
	Connections int64
	// Problem says why the pod has not acknowledged; nil where it has, or where
	// it has not been tried yet.
	Problem *Refusal
	// Newer says that the pod refused because it has a higher version than the
	// one that is pushed: what is pushed is not the newest.
	Newer bool
}

// Refusal is why a pod could not be brought to what is wanted: what the pod
// said, or why it was not reached.
type Refusal struct {
	Code    codes.Code
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// content is a snapshot with the hash by which equal content is known. The
// version is not part of the hash: somebody may touch the ConfigMap's metadata
// and raise its version, which is no reason to push.
type content struct {
	snapshot *dataplanev1alpha1.Snapshot
	hash     [sha256.Size]byte
}

func contentOf(snapshot *dataplanev1alpha1.Snapshot) (content, error) {
	unversioned := proto.CloneOf(snapshot)
	unversioned.Version = 0
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(unversioned)
	if err != nil {
		return content{}, fmt.Errorf("encode snapshot: %w", err)
	}
	return content{snapshot: proto.CloneOf(snapshot), hash: sha256.Sum256(raw)}, nil
}
