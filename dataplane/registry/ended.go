// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"google.golang.org/protobuf/proto"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// ended stands in the history for a connection that is gone: its last state as
// protobuf, so that nothing of what it was made of is kept in memory. Commonly
// 100 bytes and the texts that the client sent.
type ended string

// endedBytes is what an ended connection takes in memory beside its text: an Entry
// and the header of the text.
const endedBytes = 48 + 16

var _ Connection = ended("")

// endedOf keeps everything but what the entry knows.
func endedOf(last *dataplanev1alpha1.Connection) ended {
	raw, _ := proto.Marshal(last) // It fails for texts that are no UTF-8 only, and Connection has none.
	return ended(raw)
}

// Describe implements Connection.
func (s ended) Describe(into *dataplanev1alpha1.Connection) {
	_ = proto.Unmarshal([]byte(s), into) // It was marshalled here.
}

// Disconnect implements Connection.
func (ended) Disconnect(Disconnect) error { return ErrClosing }
