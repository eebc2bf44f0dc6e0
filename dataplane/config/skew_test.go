// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

func encode(t *testing.T, s *dataplanev1alpha1.Snapshot) string {
	t.Helper()
	raw, err := proto.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// fromNewer is a snapshot as an operator one version ahead would push it: with a
// section, a setting and a property of an endpoint that this version does not know.
func fromNewer(t *testing.T, s *dataplanev1alpha1.Snapshot) (*dataplanev1alpha1.Snapshot, []byte) {
	t.Helper()
	unknown := func(to protoreflect.Message, number protowire.Number, text string) []byte {
		raw := protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), text)
		to.SetUnknown(raw)
		return raw
	}
	section := unknown(s.ProtoReflect(), 1000, "compression")
	unknown(s.GetSettings().ProtoReflect(), 1001, "jitter")
	if e := s.GetUpstream().GetEndpoints(); len(e) > 0 {
		unknown(e[0].ProtoReflect(), 1002, "zone")
	}
	// Over the wire, as it comes.
	received := &dataplanev1alpha1.Snapshot{}
	if err := proto.Unmarshal([]byte(encode(t, s)), received); err != nil {
		t.Fatal(err)
	}
	return received, section
}

// The operator may be one version ahead. What it says and this version does not
// know changes nothing, and is still there for the version that is started next in
// the same pod: by its digest, the operator would never send it again.
func TestWhatANewerOperatorSaysIsKept(t *testing.T) {
	file, state := mounted(t, 1), t.TempDir()
	store := config.NewStore(start(t, file, state), state)
	pushed, section := fromNewer(t, named(at(9, 9), "nine"))
	if version, err := store.Apply(pushed); err != nil || version != 9 {
		t.Fatalf("version %d: %v", version, err)
	}
	for name, c := range map[string]*config.Config{"in force": store.Current(), "after a restart": start(t, file, state)} {
		if c.MaxRetries != 9 || !proto.Equal(c.Snapshot, pushed) {
			t.Errorf("%s is %v, want %v", name, c.Snapshot, pushed)
		}
		if got := c.Snapshot.ProtoReflect().GetUnknown(); !bytes.Contains(got, section) {
			t.Errorf("%s has lost what it does not know: %q", name, got)
		}
	}
}

// The operator may be one version behind: it says nothing of what was added since.
// Every part that came, or may come, after the first version is missing here in
// turn; without the settings no version has ever been.
func TestWhatAnOlderOperatorDoesNotSayIsOff(t *testing.T) {
	fields := (&dataplanev1alpha1.Snapshot{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch field.Name() {
		case "version", "namespace", "proxy", "settings", "upstream":
			continue
		}
		t.Run(string(field.Name()), func(t *testing.T) {
			doctored := named(at(9, 9), "nine")
			doctored.ProtoReflect().Clear(field)
			store := config.NewStore(mustCompile(t, at(1, 1)), t.TempDir())
			if version, err := store.Apply(doctored); err != nil || version != 9 {
				t.Fatalf("version %d: %v", version, err)
			}
			if got := store.Current(); got.MaxRetries != 9 || !proto.Equal(got.Snapshot, doctored) {
				t.Errorf("in force is %v, want %v", got.Snapshot, doctored)
			}
		})
	}
}
