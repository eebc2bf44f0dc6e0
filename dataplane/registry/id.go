// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// The form of names is a contract; it is described where these come from.
const (
	podUIDChars   = dataplanev1alpha1.PodPrefixLength
	bootChars     = dataplanev1alpha1.BootLength
	sequenceChars = dataplanev1alpha1.SequenceLength
	podIDLength   = dataplanev1alpha1.PodIDLength
	nameLength    = dataplanev1alpha1.NameLength
)

// PodID identifies one run of a data-plane process. It is the first part of the
// names of all its connections: 17 characters out of 0-9 and a-v.
type PodID string

// NewPodID returns the identity of the process that began at boot in the pod
// with the given UID. A container that is restarted in the same pod is another
// one, and sorts after its predecessor.
func NewPodID(podUID string, boot time.Time) PodID {
	id := make([]byte, 0, podIDLength)
	id = append(id, dataplanev1alpha1.PodPrefix(podUID)...)
	return PodID(appendNumber(id, uint64(boot.UnixMilli()/100), bootChars))
}

// run is what all names of a process have in common.
type run struct {
	pod PodID
	// secret makes uids that nobody else can foresee.
	secret [32]byte
}

func newRun(pod PodID) *run {
	r := &run{pod: pod}
	_, _ = rand.Read(r.secret[:]) // It never fails: crypto/rand ends the program instead.
	return r
}

// ID is the identity of one connection. It is small, because every connection
// keeps it.
type ID struct {
	run      *run
	sequence uint64
}

// Name is "<pod id>-<sequence>": a DNS-1123 label of 26 characters that no other
// connection ever has. Within a pod names sort in the order of opening.
func (id ID) Name() string { return string(appendName(nil, id.run.pod, id.sequence)) }

// UID is a UUID, version 4 and variant as RFC 9562 section 5.4 wants them: 122
// bits of a hash of the sequence and of 256 random bits that only this process
// knows, as good as random ones and not to be stored.
func (id ID) UID() string {
	var of [8 + len(run{}.secret)]byte
	binary.BigEndian.PutUint64(of[:], id.sequence)
	copy(of[8:], id.run.secret[:])
	u := sha256.Sum256(of[:])
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	text := make([]byte, 0, 36)
	text = append(hex.AppendEncode(text, u[:4]), '-')
	text = append(hex.AppendEncode(text, u[4:6]), '-')
	text = append(hex.AppendEncode(text, u[6:8]), '-')
	text = append(hex.AppendEncode(text, u[8:10]), '-')
	return string(hex.AppendEncode(text, u[10:16]))
}

func appendName(to []byte, pod PodID, sequence uint64) []byte {
	to = append(to, pod...)
	to = append(to, '-')
	return appendNumber(to, sequence, sequenceChars)
}

// appendNumber appends the lowest 5*chars bits of n, most significant first.
func appendNumber(to []byte, n uint64, chars int) []byte {
	for shift := 5 * (chars - 1); shift >= 0; shift -= 5 {
		to = append(to, dataplanev1alpha1.NameDigits[n>>shift&31])
	}
	return to
}

// parseName is the inverse of Name; it reports false for a name that this
// package cannot have issued.
func parseName(name string) (pod PodID, sequence uint64, ok bool) {
	id, sequence, ok := dataplanev1alpha1.ParseName(name)
	return PodID(id), sequence, ok
}
