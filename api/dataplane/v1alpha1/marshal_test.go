// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package dataplanev1alpha1_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// The bytes themselves are the contract: the operator compares what it would
// write with what is there, and a newer program of ours must not see a difference
// where there is none. protojson alone varies its white space between builds.
func TestTheBytesOfASnapshotAreStable(t *testing.T) {
	snapshot := &dataplanev1alpha1.Snapshot{
		Version:   42,
		Namespace: "shop",
		Proxy:     "chat",
		Settings:  &dataplanev1alpha1.Settings{ConnectionLostTimeout: 60, ReuseAddr: true},
		Limits:    &dataplanev1alpha1.Limits{MaxMessageBytes: 1 << 40},
		Upstream: &dataplanev1alpha1.Upstream{
			Service:   true,
			Endpoints: []*dataplanev1alpha1.Endpoint{{Address: "10.0.0.7:8080"}, {Address: "[fd00::7]:8080", Terminating: true}},
		},
	}
	const want = `{
  "namespace": "shop",
  "proxy": "chat",
  "settings": {
    "connectionLostTimeout": 60,
    "reuseAddr": true
  },
  "limits": {
    "maxMessageBytes": "1099511627776"
  },
  "upstream": {
    "endpoints": [
      {
        "address": "10.0.0.7:8080"
      },
      {
        "address": "[fd00::7]:8080",
        "terminating": true
      }
    ],
    "service": true
  }
}
`
	got, err := dataplanev1alpha1.MarshalSnapshot(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if snapshot.Version != 42 {
		t.Error("the version of what was given is gone")
	}
}

func TestASnapshotIsReadAsItWasWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		snapshot := &dataplanev1alpha1.Snapshot{}
		randomise(random, snapshot.ProtoReflect())
		first, err := dataplanev1alpha1.MarshalSnapshot(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		read, err := dataplanev1alpha1.UnmarshalSnapshot(first)
		if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		snapshot.Version, snapshot.Digest = 0, nil
		if !proto.Equal(read, snapshot) {
			t.Fatalf("read\n%v\nwant\n%v", read, snapshot)
		}
		again, err := dataplanev1alpha1.MarshalSnapshot(read)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Fatalf("written again as\n%s\nwant\n%s", again, first)
		}
	}
}

// A data plane may be a version behind the operator.
func TestFieldsOfANewerProgramAreIgnored(t *testing.T) {
	read, err := dataplanev1alpha1.UnmarshalSnapshot([]byte(`{
		"proxy": "chat", "compression": {"level": 9},
		"settings": {"retryDelay": 500, "retryJitter": 20},
		"upstream": {"endpoints": [{"address": "10.0.0.7:8080", "zone": "a"}]}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if read.GetProxy() != "chat" || read.GetSettings().GetRetryDelay() != 500 || read.GetUpstream().GetEndpoints()[0].GetAddress() != "10.0.0.7:8080" {
		t.Errorf("read %v", read)
	}
}

func TestWhatIsNoSnapshotIsRefused(t *testing.T) {
	for _, text := range []string{"", "x", "[]", "null", `{"settings": 5}`, `{"settings": {"retryDelay": "soon"}}`, `{"settings": {"retryDelay": 3000000000}}`, `{} {}`} {
		if read, err := dataplanev1alpha1.UnmarshalSnapshot([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "decode snapshot: ") {
			t.Errorf("%q is read as %v with error %v", text, read, err)
		}
	}
}

// What lies in an emptyDir or in a ConfigMap may have been written by anybody.
func FuzzUnmarshalSnapshot(f *testing.F) {
	f.Add([]byte(`{"namespace":"shop","proxy":"chat","settings":{"retryDelay":500},"limits":{"maxMessageBytes":"1"}}`))
	f.Add([]byte(`{"upstream":{"endpoints":[{"address":"10.0.0.7:8080"}],"tls":{}},"unknown":[1,{"a":null}]}`))
	f.Add([]byte(`{"proxy":"\ud800"}`))
	f.Add([]byte("{\"proxy\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		read, err := dataplanev1alpha1.UnmarshalSnapshot(raw)
		if err != nil {
			return
		}
		written, err := dataplanev1alpha1.MarshalSnapshot(read)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := dataplanev1alpha1.UnmarshalSnapshot(written)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, written)
		}
		read.Version, read.Digest = 0, nil
		if !proto.Equal(read, again) {
			t.Errorf("read again as\n%v\nwant\n%v", again, read)
		}
	})
}

// randomise sets about half of the fields of a message, and of those in it.
func randomise(random *rand.Rand, message protoreflect.Message) {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if random.IntN(2) == 0 {
			continue
		}
		switch {
		case field.IsList() && field.Message() != nil:
			list := message.Mutable(field).List()
			for range random.IntN(3) {
				randomise(random, list.AppendMutable().Message())
			}
		case field.IsList():
			list := message.Mutable(field).List()
			for range random.IntN(3) {
				list.Append(randomValue(random, field))
			}
		case field.Message() != nil:
			randomise(random, message.Mutable(field).Message())
		default:
			message.Set(field, randomValue(random, field))
		}
	}
}

func randomValue(random *rand.Rand, field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(random.IntN(2) == 0)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(random.Uint32())) // #nosec G115 -- any value will do.
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(random.Uint64())) // #nosec G115 -- any value will do.
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(random.Uint64())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{byte(random.Uint32())}) // #nosec G115 -- any value will do.
	case protoreflect.StringKind:
		return protoreflect.ValueOfString([]string{"", "chat", "a \"b\" <&>\u2028", "ä\n"}[random.IntN(4)])
	default:
		panic("no random value of " + field.Kind().String())
	}
}
