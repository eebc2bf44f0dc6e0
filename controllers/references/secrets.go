// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package references

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// caKey is the key of a Secret that holds certificates to verify with.
const caKey = "ca.crt"

// Wish is a Secret that a spec names, and the files of the data plane that its
// keys become.
type Wish struct {
	// Field of the spec, for messages.
	Field string
	// Name of the Secret.
	Name string
	// Files are the names of the files by key of the Secret.
	Files map[string]string
	// check judges the content.
	check func(data map[string][]byte) error
}

// Of returns the Secrets that a spec names.
func Of(spec *wsproxyv1alpha1.WebSocketProxySpec) []Wish {
	var wishes []Wish
	if t := spec.Listen.TLS; t != nil {
		wishes = append(wishes, certificate("spec.listen.tls.secretName", t.SecretName,
			dataplanev1alpha1.FileListenCert, dataplanev1alpha1.FileListenKey))
	}
	if t := spec.Upstream.TLS; t != nil && t.CASecretName != "" {
		wishes = append(wishes, Wish{
			Field: "spec.upstream.tls.caSecretName",
			Name:  t.CASecretName,
			Files: map[string]string{caKey: dataplanev1alpha1.FileUpstreamCA},
			check: checkCA,
		})
	}
	if t := spec.Upstream.TLS; t != nil && t.ClientCertSecretName != "" {
		wishes = append(wishes, certificate("spec.upstream.tls.clientCertSecretName", t.ClientCertSecretName,
			dataplanev1alpha1.FileUpstreamCert, dataplanev1alpha1.FileUpstreamKey))
	}
	return wishes
}

// Names returns the names of the Secrets that a spec names.
func Names(spec *wsproxyv1alpha1.WebSocketProxySpec) []string {
	var names []string
	for _, w := range Of(spec) {
		names = append(names, w.Name)
	}
	return names
}

func certificate(field, name, cert, key string) Wish {
	return Wish{
		Field: field,
		Name:  name,
		Files: map[string]string{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key},
		check: func(data map[string][]byte) error {
			_, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
			return err
		},
	}
}

func checkCA(data map[string][]byte) error {
	if !x509.NewCertPool().AppendCertsFromPEM(data[caKey]) {
		return fmt.Errorf("no certificate (PEM) under the key %s", caKey)
	}
	return nil
}

// Problem is why a reference is not resolved.
type Problem struct {
	// Reason of the condition ResolvedRefs.
	Reason  string
	Message string
}

// Resolve copies the files of a wish out of a Secret (nil: there is none).
func (w Wish) Resolve(secret *corev1.Secret, files map[string][]byte) *Problem {
	if secret == nil {
		return &Problem{wsproxyv1alpha1.ReasonSecretNotFound, fmt.Sprintf("%s: Secret %q does not exist", w.Field, w.Name)}
	}
	for key := range w.Files {
		if len(secret.Data[key]) == 0 {
			return &Problem{wsproxyv1alpha1.ReasonSecretInvalid, fmt.Sprintf("%s: Secret %q has no key %q", w.Field, w.Name, key)}
		}
	}
	if err := w.check(secret.Data); err != nil {
		return &Problem{wsproxyv1alpha1.ReasonSecretInvalid, fmt.Sprintf("%s: Secret %q: %v", w.Field, w.Name, err)}
	}
	for key, file := range w.Files {
		files[file] = secret.Data[key]
	}
	return nil
}

// Carry copies the files of a wish out of what was resolved before, and says
// whether they were all there: a certificate that is gone goes on being used.
func (w Wish) Carry(before, files map[string][]byte) bool {
	for _, file := range w.Files {
		if len(before[file]) == 0 {
			return false
		}
	}
	for _, file := range w.Files {
		files[file] = before[file]
	}
	return true
}
