// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/rand"
	"fmt"
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

// ID is the identity of one connection.
type ID struct {
	pod      PodID
	sequence uint64
	uid      [16]byte
}

// Name is "<pod id>-<sequence>": a DNS-1123 label of 26 characters that no other
// connection ever has. Within a pod names sort in the order of opening.
func (id ID) Name() string { return string(appendName(nil, id.pod, id.sequence)) }

// UID is a random UUID (RFC 9562 version 4).
func (id ID) UID() string {
	u := id.uid
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// newUID returns a random UUID, version 4 and variant as RFC 9562 section 5.4
// wants them.
func newUID() (uid [16]byte) {
	_, _ = rand.Read(uid[:]) // It never fails: crypto/rand ends the program instead.
	uid[6] = uid[6]&0x0f | 0x40
	uid[8] = uid[8]&0x3f | 0x80
	return uid
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
