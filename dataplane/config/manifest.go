// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	yamldocuments "k8s.io/apimachinery/pkg/util/yaml"
	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

const (
	kindProxy = "WebSocketProxy"
	kindClass = "WebSocketProxyClass"

	// defaultNamespace is what kubectl would put a manifest without one into.
	defaultNamespace = "default"
)

// split returns the YAML documents of a file that are not empty.
func split(raw []byte) ([][]byte, error) {
	var documents [][]byte
	reader := yamldocuments.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("decode YAML: %w", err)
		}
		var content any
		if err := yaml.Unmarshal(document, &content); err != nil {
			return nil, fmt.Errorf("decode YAML: %w", err)
		}
		if content != nil {
			documents = append(documents, document)
		}
	}
	if len(documents) == 0 {
		return nil, errors.New("the file is empty; it must hold a WebSocketProxy or a snapshot")
	}
	return documents, nil
}

// typeOf returns what a document says it is.
func typeOf(document []byte) metav1.TypeMeta {
	var t metav1.TypeMeta
	_ = yaml.Unmarshal(document, &t) // A document of another shape has no type.
	return t
}

// isObject reports whether a document is, or was meant to be, a Kubernetes object
// rather than a snapshot, which has none of these fields.
func isObject(document []byte) bool {
	var fields map[string]any
	_ = yaml.Unmarshal(document, &fields) // A document of another shape has none.
	for _, name := range [...]string{"apiVersion", "kind", "metadata", "spec"} {
		if _, ok := fields[name]; ok {
			return true
		}
	}
	return false
}

func parseManifest(documents [][]byte) (*File, error) {
	var proxy *wsproxyv1alpha1.WebSocketProxy
	var classes []*wsproxyv1alpha1.WebSocketProxyClass
	for _, document := range documents {
		t := typeOf(document)
		if group := wsproxyv1alpha1.GroupVersion.String(); t.APIVersion != group {
			return nil, fmt.Errorf("apiVersion: %q: must be %s", t.APIVersion, group)
		}
		switch t.Kind {
		case kindProxy:
			if proxy != nil {
				return nil, fmt.Errorf("the file holds more than one %s; a data plane serves one", kindProxy)
			}
			proxy = &wsproxyv1alpha1.WebSocketProxy{}
			if err := decodeStrict(document, proxy); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, t.Kind, err)
			}
		case kindClass:
			class := &wsproxyv1alpha1.WebSocketProxyClass{}
			if err := decodeStrict(document, class); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, t.Kind, err)
			}
			classes = append(classes, class)
		default:
			return nil, fmt.Errorf("kind: %q: must be %s or %s", t.Kind, kindProxy, kindClass)
		}
	}
	if proxy == nil {
		return nil, fmt.Errorf("the file holds no %s", kindProxy)
	}
	return fromManifest(proxy, classes)
}

func fromManifest(proxy *wsproxyv1alpha1.WebSocketProxy, classes []*wsproxyv1alpha1.WebSocketProxyClass) (*File, error) {
	if proxy.Namespace == "" {
		proxy.Namespace = defaultNamespace
	}
	errs := proxy.Validate()
	spec := field.NewPath("spec")
	if proxy.Spec.Upstream.ServiceRef != nil {
		errs = append(errs, field.Forbidden(spec.Child("upstream", "serviceRef"), "a Service can only be found on Kubernetes; set upstream.url"))
	}
	class, err := classOf(proxy, classes)
	if err != nil {
		errs = append(errs, err)
	}
	for _, c := range classes {
		errs = append(errs, c.Validate()...)
	}
	if err := errs.ToAggregate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c, compileErr := Compile(dataplanev1alpha1.SnapshotOf(proxy, class))
	if compileErr != nil {
		return nil, compileErr
	}
	return &File{Config: c, Manifest: proxy, Ignored: ignored(proxy, class, classes)}, nil
}

// ignored names what a manifest says about pods, and classes that the proxy does
// not inherit from.
func ignored(proxy *wsproxyv1alpha1.WebSocketProxy, class *wsproxyv1alpha1.WebSocketProxyClass, classes []*wsproxyv1alpha1.WebSocketProxyClass) []string {
	var names []string
	name := func(what string, value any) {
		if !reflect.ValueOf(value).IsZero() {
			names = append(names, what)
		}
	}
	name("spec.replicas", proxy.Spec.Replicas)
	name("spec.service", proxy.Spec.Service)
	name("spec.podTemplate", proxy.Spec.PodTemplate)
	for _, c := range classes {
		what := kindClass + " " + c.Name
		if c != class {
			names = append(names, what)
			continue
		}
		name(what+": spec.image", c.Spec.Image)
		name(what+": spec.podTemplate", c.Spec.PodTemplate)
	}
	return names
}

// classOf returns the class that the proxy inherits from, out of those in the
// file; nil where it inherits from none.
func classOf(proxy *wsproxyv1alpha1.WebSocketProxy, classes []*wsproxyv1alpha1.WebSocketProxyClass) (*wsproxyv1alpha1.WebSocketProxyClass, *field.Error) {
	path := field.NewPath("spec", "className")
	var found *wsproxyv1alpha1.WebSocketProxyClass
	for _, c := range classes {
		if c.Name != proxy.Spec.ClassName && (proxy.Spec.ClassName != "" || !c.IsDefault()) {
			continue
		}
		if found != nil {
			return nil, field.Invalid(path, proxy.Spec.ClassName, fmt.Sprintf("the file holds two such classes, %s and %s", found.Name, c.Name))
		}
		found = c
	}
	if found == nil && proxy.Spec.ClassName != "" {
		return nil, field.NotFound(path, proxy.Spec.ClassName)
	}
	return found, nil
}

// decodeStrict decodes as a Kubernetes API server does that validates fields
// strictly: an unknown field, a field given twice or in another case is an error
// rather than a setting that silently does nothing.
func decodeStrict(document []byte, into any) error {
	raw, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	strict, err := strictjson.UnmarshalStrict(raw, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return wrongType(raw, wrong)
	}
	if err != nil {
		return err
	}
	return errors.Join(strict...)
}
