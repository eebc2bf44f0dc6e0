// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"time"
)

const (
	// podUIDChars of base32 are 50 bits of the hash of the pod's UID: among
	// 10,000 pods two share them with a probability of 1 to 20 million, and they
	// would have to have booted within the same tenth of a second as well.
	podUIDChars = 10
	// bootChars of base32 are 35 bits: tenths of seconds since 1970 until 2078.
	bootChars = 7
	// sequenceChars of base32 are 40 bits: at 10,000 connections a second they
	// last for three years.
	sequenceChars = 8

	podIDLength = podUIDChars + bootChars
	nameLength  = podIDLength + 1 + sequenceChars
)

// digits is the alphabet of base32hex (RFC 4648 section 7) in lower case: legal
// in a DNS label, and numbers of equal length sort as their values do.
const digits = "0123456789abcdefghijklmnopqrstuv"

var encoding = base32.NewEncoding(digits).WithPadding(base32.NoPadding)

// PodID identifies one run of a data-plane process. It is the first part of the
// names of all its connections: 17 characters out of 0-9 and a-v.
type PodID string

// NewPodID returns the identity of the process that began at boot in the pod
// with the given UID. A container that is restarted in the same pod is another
// one, and sorts after its predecessor.
func NewPodID(podUID string, boot time.Time) PodID {
	hash := sha256.Sum256([]byte(podUID))
	id := make([]byte, 0, podIDLength)
	id = append(id, encoding.EncodeToString(hash[:])[:podUIDChars]...)
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
		to = append(to, digits[n>>shift&31])
	}
	return to
}

// parseName is the inverse of Name; it reports false for a name that this
// package cannot have issued.
func parseName(name string) (pod PodID, sequence uint64, ok bool) {
	if len(name) != nameLength || name[podIDLength] != '-' {
		return "", 0, false
	}
	for i := range len(name) {
		d, ok := digit(name[i])
		if i == podIDLength {
			continue
		}
		if !ok {
			return "", 0, false
		}
		if i > podIDLength {
			sequence = sequence<<5 | d
		}
	}
	return PodID(name[:podIDLength]), sequence, true
}

func digit(char byte) (value uint64, ok bool) {
	switch {
	case '0' <= char && char <= '9':
		return uint64(char - '0'), true
	case 'a' <= char && char <= 'v':
		return uint64(char-'a') + 10, true
	default:
		return 0, false
	}
}
