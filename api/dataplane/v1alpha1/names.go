// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package dataplanev1alpha1

import (
	"crypto/sha256"
	"encoding/base32"
)

// The form of a connection's name, "<pod id>-<sequence>", and of the pod id,
// which is the prefix of the pod and the time at which the process began. All
// of it is made of the digits below, so that names sort by pod, then by process,
// then by the order of opening.
const (
	// PodPrefixLength digits are 50 bits of the hash of the pod's UID: among
	// 10,000 pods two share them with a probability of 1 to 20 million, and they
	// would have to have begun within the same tenth of a second as well for two
	// names to be the same.
	PodPrefixLength = 10
	// BootLength digits are 35 bits: tenths of seconds since 1970 until 2078.
	BootLength = 7
	// SequenceLength digits are 40 bits: at 10,000 connections a second they last
	// for three years.
	SequenceLength = 8

	// PodIDLength is the length of a pod id.
	PodIDLength = PodPrefixLength + BootLength
	// NameLength is the length of a connection's name.
	NameLength = PodIDLength + 1 + SequenceLength
)

// NameDigits is the alphabet of base32hex (RFC 4648 section 7) in lower case:
// legal in a DNS label, and numbers of equal length sort as their values do.
const NameDigits = "0123456789abcdefghijklmnopqrstuv"

// PodPrefix returns the first PodPrefixLength characters of the names of all
// connections of the pod with the given UID.
func PodPrefix(podUID string) string {
	hash := sha256.Sum256([]byte(podUID))
	return base32.NewEncoding(NameDigits).WithPadding(base32.NoPadding).EncodeToString(hash[:])[:PodPrefixLength]
}

// ParseName takes a connection's name apart. It reports false for a name that no
// pod can have issued.
func ParseName(name string) (podID string, sequence uint64, ok bool) {
	if len(name) != NameLength || name[PodIDLength] != '-' {
		return "", 0, false
	}
	for i := range len(name) {
		if i == PodIDLength {
			continue
		}
		d, ok := digit(name[i])
		if !ok {
			return "", 0, false
		}
		if i > PodIDLength {
			sequence = sequence<<5 | d
		}
	}
	return name[:PodIDLength], sequence, true
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
