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
	// Version and Digest are what the pod answered with last; zero before. A pod of
	// a version that has no digests has an empty one.
	Version uint64
	Digest  string
	// Connections is the number of live connections, as of the last answer.
	Connections int64
	// Problem says why the pod has not acknowledged; nil where it has, or where
	// it has not been tried yet.
	Problem *Refusal
	// Newer says that the pod has a higher version than the one that is wanted, or
	// the same with another content: what is wanted is not the newest, or the
	// cluster went back in time. Nothing is pushed to such a pod.
	Newer bool
}

// Refusal is why a pod could not be brought to what is wanted: what the pod
// said, or why it was not reached.
type Refusal struct {
	Code    codes.Code
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// content is a snapshot with the digest by which equal content is known.
type content struct {
	snapshot *dataplanev1alpha1.Snapshot
	digest   string
}

// Digest returns the digest of a snapshot's content. The version is not part of
// it: somebody may touch the ConfigMap's metadata and raise its version, which is
// no reason to push. Errors: a snapshot that cannot be encoded.
func Digest(snapshot *dataplanev1alpha1.Snapshot) (string, error) {
	bare := proto.CloneOf(snapshot)
	bare.Version, bare.Digest = 0, nil
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil {
		return "", fmt.Errorf("encode snapshot: %w", err)
	}
	sum := sha256.Sum256(raw)
	return string(sum[:]), nil
}

func contentOf(snapshot *dataplanev1alpha1.Snapshot) (content, error) {
	digest, err := Digest(snapshot)
	if err != nil {
		return content{}, err
	}
	own := proto.CloneOf(snapshot)
	own.Digest = []byte(digest)
	return content{own, digest}, nil
}

// answer is what a pod says that it has.
type answer interface {
	GetVersion() uint64
	GetDigest() []byte
	GetPodId() string
	GetConnections() int64
}

// is says whether a pod has the content and its version.
func (c content) is(has answer) bool {
	return has.GetVersion() == c.snapshot.GetVersion() && !c.differs(has)
}

// isBehind says whether a pod has something that the content must not replace.
func (c content) isBehind(has answer) bool {
	return has.GetVersion() > c.snapshot.GetVersion() || has.GetVersion() == c.snapshot.GetVersion() && c.differs(has)
}

// differs says whether a pod has another content, as far as it knows digests.
func (c content) differs(has answer) bool {
	return len(has.GetDigest()) > 0 && string(has.GetDigest()) != c.digest
}
