// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/api/v1alpha1/manifesttest"
)

// validator is what both kinds are.
type validator interface{ Validate() field.ErrorList }

// decode reads a manifest as strictly as the API server does when it is asked to.
func decode(t testing.TB, manifest []byte) (validator, error) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDeserializer().Decode(manifest, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return object.(validator), nil
}

func TestValidManifestsAreAccepted(t *testing.T) {
	for _, m := range manifesttest.Read(t, "testdata/manifests/valid") {
		t.Run(m.Name, func(t *testing.T) {
			object, err := decode(t, m.YAML)
			if err != nil {
				t.Fatal(err)
			}
			if errs := object.Validate(); len(errs) > 0 {
				t.Error(errs.ToAggregate())
			}
		})
	}
}

func TestInvalidManifestsAreRefusedWithTheFieldNamed(t *testing.T) {
	for _, m := range manifesttest.Read(t, "testdata/manifests/invalid") {
		t.Run(m.Name, func(t *testing.T) {
			object, err := decode(t, m.YAML)
			if err != nil {
				t.Fatal(err)
			}
			errs := object.Validate()
			if len(errs) == 0 {
				t.Fatalf("accepted, should be refused because of %s", m.Field)
			}
			for _, err := range errs {
				if !m.Names(err.Field) {
					t.Errorf("the error names %s, want %s: %v", err.Field, m.Field, err)
				}
			}
			m.Refused(t, errs.ToAggregate().Error())
		})
	}
}

func TestMalformedManifestsAreNotDecoded(t *testing.T) {
	for _, m := range manifesttest.Read(t, "testdata/manifests/malformed") {
		t.Run(m.Name, func(t *testing.T) {
			_, err := decode(t, m.YAML)
			if err == nil {
				t.Fatalf("decoded, should be refused because of %s", m.Field)
			}
			if !strings.Contains(err.Error(), m.Field) {
				t.Errorf("the error does not name %s: %v", m.Field, err)
			}
		})
	}
}

func TestAPasswordInTheURLIsNotRepeated(t *testing.T) {
	proxy := v1alpha1.WebSocketProxy{}
	proxy.Name = "chat"
	proxy.Spec.Upstream.URL = "wss://ann:secret@chat.example.com"
	errs := proxy.Validate()
	if len(errs) == 0 {
		t.Fatal("accepted")
	}
	if message := errs.ToAggregate().Error(); strings.Contains(message, "secret") {
		t.Error(message)
	}
}
