// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/controllers/push"
)

// The versions of a cluster only grow, until it is restored from a backup: then
// it numbers anew from where the backup was made, while the pods have what came
// after that, and refuse everything that is lower. So the ConfigMap says how much
// is to be added to its resourceVersion. What pods take goes on growing, and
// nobody has to delete them.

// maxVersion is the highest version that is believed of a pod. It is what a float64
// holds exactly, as metrics must, and far more than an etcd can count to.
const maxVersion = 1<<53 - 1

// maxLead is how far ahead of the cluster a pod is believed to be: what an etcd
// counts in two years of a thousand writes a second. Nobody restores a backup that is
// older than that under pods that still run.
const maxLead = 1 << 36

// believable says whether a pod can have been given a version by a cluster that has
// reached another one by now.
func believable(version, reached uint64) bool {
	return version <= maxVersion && version <= reached+maxLead
}

// firstRaise is the least time between the first two raises for one proxy. The first
// one brings all its pods on in nearly every case; a pod that is ahead of that again,
// and again, would have its ConfigMap written as fast as it answers, and use up the
// versions by leaps of maxLead. So each raise doubles the time until the next one, up
// to lastRaise, with which they last for centuries.
const (
	firstRaise = 10 * time.Second
	lastRaise  = 24 * time.Hour
)

// raise is the last raise of the versions of a proxy.
type raise struct {
	at time.Time
	// pause is how long no other one follows.
	pause time.Duration
}

// mayRaise says whether the versions of the proxy may be raised now; where they may
// not yet, it is looked at again when they may.
func (r *Reconciler) mayRaise(w *work) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.raised[w.key]
	wait := last.pause - w.now.Sub(last.at)
	if wait <= 0 {
		return true
	}
	w.after(wait)
	return false
}

func (r *Reconciler) noteRaised(w *work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.raised == nil {
		r.raised = map[types.NamespacedName]raise{}
	}
	r.raised[w.key] = raise{w.now, min(max(2*r.raised[w.key].pause, firstRaise), lastRaise)}
}

// version is the version of the snapshot that a ConfigMap carries. It is 0 where
// the resourceVersion is no number, which no API server that we know of gives.
func version(config *corev1.ConfigMap) uint64 {
	v, err := strconv.ParseUint(config.ResourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return v + offset(config)
}

// offset is what the ConfigMap says is to be added to its resourceVersion.
func offset(config *corev1.ConfigMap) uint64 {
	o, err := strconv.ParseUint(config.Annotations[objects.AnnotationVersionOffset], 10, 64)
	if err != nil || o > maxVersion {
		return 0
	}
	return o
}

// newer returns the pods of a proxy that have something newer than what they
// should have.
func (r *Reconciler) newer(proxy types.NamespacedName) []push.Pod {
	var newer []push.Pod
	for _, p := range r.Pusher.Pods(proxy) {
		if p.Newer {
			newer = append(newer, p)
		}
	}
	return newer
}

// raised returns the offset that the ConfigMap must say. live was read from the
// API server after those pods were asked: whatever they have was in it before that.
// If they have more than is in it now, the cluster went back in time, for its
// resourceVersion cannot have become lower in any other way.
//
// That lets nobody push backwards. Whoever is behind does not know the live
// ConfigMap, and raises nothing; and the ConfigMap with the higher offset is
// written like any other change, over the one that was read.
func raised(live *corev1.ConfigMap, newer []push.Pod) (uint64, error) {
	if live == nil {
		return 0, nil
	}
	have, add := version(live), uint64(0)
	for _, p := range newer {
		if p.Version < have || !believable(p.Version, have) {
			continue
		}
		if p.Version == have {
			same, err := carriesDigest(live, p.Digest)
			if err != nil {
				return 0, err
			}
			if same {
				continue
			}
		}
		add = max(add, p.Version-have+1)
	}
	return offset(live) + add, nil
}

// carriesDigest says whether the ConfigMap has the content of that digest. A pod
// that gives none is believed to have what its version says.
func carriesDigest(config *corev1.ConfigMap, digest string) (bool, error) {
	if digest == "" {
		return true, nil
	}
	snapshot, err := dataplanev1alpha1.UnmarshalSnapshot([]byte(config.Data[dataplanev1alpha1.SnapshotFile]))
	if err != nil {
		return false, fmt.Errorf("ConfigMap %s: %w", config.Name, err)
	}
	own, err := push.Digest(snapshot)
	return own == digest, err
}
