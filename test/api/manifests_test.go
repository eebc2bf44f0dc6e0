// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/api/v1alpha1/manifesttest"
)

const manifests = "../../api/v1alpha1/testdata/manifests/"

// create posts a manifest as it is in the file and returns what the server
// stored, or would have stored with dryRun. Like `kubectl apply` it has the server refuse
// unknown and duplicate fields.
func create(t testing.TB, namespace string, manifest []byte, dryRun bool) (*unstructured.Unstructured, error) {
	t.Helper()
	resource := "websocketproxies"
	if slices.Contains(strings.Split(string(manifest), "\n"), "kind: WebSocketProxyClass") {
		resource, namespace = "websocketproxyclasses", ""
	}
	contentType := "application/yaml"
	if json.Valid(manifest) {
		contentType = "application/json"
	}
	request := restClient(t).Post().
		NamespaceIfScoped(namespace, namespace != "").
		Resource(resource).
		Param("fieldValidation", "Strict").
		SetHeader("Content-Type", contentType).
		SetHeader("Accept", "application/json").
		Body(manifest)
	if dryRun {
		request.Param("dryRun", "All")
	}
	result := request.Do(t.Context())
	// Error, unlike Raw, decodes the Status that says what is wrong.
	if err := result.Error(); err != nil {
		return nil, err
	}
	raw, err := result.Raw()
	if err != nil {
		return nil, err
	}
	stored := &unstructured.Unstructured{}
	return stored, stored.UnmarshalJSON(raw)
}

func restClient(t testing.TB) rest.Interface {
	t.Helper()
	config := rest.CopyConfig(server.config)
	config.APIPath = "/apis"
	config.GroupVersion = &wsproxyv1alpha1.GroupVersion
	config.NegotiatedSerializer = serializer()
	c, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestInvalidManifestsAreRefusedWithTheFieldNamed(t *testing.T) {
	for _, m := range manifesttest.Read(t, manifests+"invalid") {
		t.Run(m.Name, func(t *testing.T) {
			_, err := create(t, "default", m.YAML, true)
			status := &apierrors.StatusError{}
			if !errors.As(err, &status) || status.Status().Code != http.StatusUnprocessableEntity {
				t.Fatalf("the answer is %v, should be 422 because of %s", err, m.Field)
			}
			named := false
			for _, cause := range status.Status().Details.Causes {
				named = named || m.Names(cause.Field)
			}
			if !named && !strings.Contains(err.Error(), m.Field) {
				t.Errorf("the error does not name %s: %v", m.Field, err)
			}
			m.Refused(t, err.Error())
			// One mistake is one error, in one way of saying it, but for what
			// Kubernetes itself says of every object: its name, its scale, and, of no
			// field, that it did not look further.
			said := 0
			for _, cause := range status.Status().Details.Causes {
				if cause.Field == "<nil>" && !strings.Contains(cause.Message, "some validation rules were not checked") {
					t.Errorf("it does not say which field: %v", err)
				}
				if cause.Field != "<nil>" && cause.Field != "metadata.name" && cause.Field != ".spec.replicas" {
					said++
				}
			}
			if said > 1 {
				t.Errorf("%d errors for one mistake: %v", said, err)
			}
		})
	}
}

func TestMalformedManifestsAreRefusedWithTheFieldNamed(t *testing.T) {
	for _, m := range manifesttest.Read(t, manifests+"malformed") {
		t.Run(m.Name, func(t *testing.T) {
			_, err := create(t, "default", m.YAML, true)
			if err == nil {
				t.Fatalf("accepted, should be refused because of %s", m.Field)
			}
			if !strings.Contains(err.Error(), m.Field) {
				t.Errorf("the error does not name %s: %v", m.Field, err)
			}
		})
	}
}

// Whatever the server fills in is read back as if the user had written it, and
// would hide what the class says. Only replicas is filled in.
func TestValidManifestsAreStoredAsWrittenButForReplicas(t *testing.T) {
	for _, m := range manifesttest.Read(t, manifests+"valid") {
		t.Run(m.Name, func(t *testing.T) {
			stored, err := create(t, namespace(t), m.YAML, false)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { remove(t, stored) })

			written := &unstructured.Unstructured{}
			if err := utilyaml.Unmarshal(m.YAML, &written.Object); err != nil {
				t.Fatal(err)
			}
			if written.GetKind() == "WebSocketProxy" {
				if _, ok, _ := unstructured.NestedFieldNoCopy(written.Object, "spec", "replicas"); !ok {
					spec := written.Object["spec"].(map[string]any)
					spec["replicas"] = int64(wsproxyv1alpha1.DefaultReplicas)
				}
			}
			if want, got := asJSON(t, written.Object["spec"]), asJSON(t, stored.Object["spec"]); want != got {
				t.Errorf("stored\n%s\nwant\n%s", got, want)
			}
			if written.GetKind() != "WebSocketProxy" {
				return
			}
			// Nobody has looked at it yet, and that is what it says.
			want := `{"conditions":[{"lastTransitionTime":"1970-01-01T00:00:00Z","message":"the operator has not seen this proxy yet",` +
				`"reason":"Pending","status":"Unknown","type":"Ready"}],"connections":0,"observedGeneration":0,"readyReplicas":0,"replicas":0}`
			if status, err := json.Marshal(stored.Object["status"]); err != nil || string(status) != want {
				t.Errorf("the status is %s (%v), want %s", status, err, want)
			}
		})
	}
}

// What people type: kubectl says which field it does not know.
func TestKubectlRefusesUnknownFields(t *testing.T) {
	for _, m := range manifesttest.Read(t, manifests+"malformed") {
		if !strings.Contains(m.Name, "unknown") {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			output, err := kubectl(t.Context(), "create", "--validate=strict", "-f", manifests+"malformed/"+m.Name+".yaml")
			if err == nil {
				t.Fatalf("accepted:\n%s", output)
			}
			if !strings.Contains(output, "unknown field") || !strings.Contains(output, m.Field) {
				t.Errorf("the error does not name %s:\n%s", m.Field, output)
			}
		})
	}
}
