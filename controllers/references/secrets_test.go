// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package references

import (
	"crypto/x509"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/certificates"
)

// issue returns a certificate and its key, PEM.
func issue(t *testing.T) (cert, key []byte) {
	t.Helper()
	policy := certificates.DefaultPolicy()
	state, err := certificates.State{}.Advance(time.Now(), policy)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := state.Issue(certificates.Request{DNSNames: []string{"a"}, Usage: x509.ExtKeyUsageServerAuth}, time.Now(), policy)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = pair.KeyPEM(); err != nil {
		t.Fatal(err)
	}
	return pair.CertPEM(), key
}

func TestResolve(t *testing.T) {
	cert, key := issue(t)
	_, otherKey := issue(t)
	listen := &wsproxyv1alpha1.WebSocketProxySpec{Listen: wsproxyv1alpha1.Listen{TLS: &wsproxyv1alpha1.ListenTLS{SecretName: "s"}}}
	ca := &wsproxyv1alpha1.WebSocketProxySpec{Upstream: wsproxyv1alpha1.Upstream{TLS: &wsproxyv1alpha1.UpstreamTLS{CASecretName: "s"}}}
	client := &wsproxyv1alpha1.WebSocketProxySpec{Upstream: wsproxyv1alpha1.Upstream{TLS: &wsproxyv1alpha1.UpstreamTLS{ClientCertSecretName: "s"}}}
	for name, c := range map[string]struct {
		spec *wsproxyv1alpha1.WebSocketProxySpec
		data map[string][]byte // nil: there is no Secret
		// want are the files, or a reason.
		want   []string
		reason string
	}{
		"no Secret":                 {listen, nil, nil, wsproxyv1alpha1.ReasonSecretNotFound},
		"no key":                    {listen, map[string][]byte{"tls.crt": cert}, nil, wsproxyv1alpha1.ReasonSecretInvalid},
		"another certificate's key": {listen, map[string][]byte{"tls.crt": cert, "tls.key": otherKey}, nil, wsproxyv1alpha1.ReasonSecretInvalid},
		"for clients":               {listen, map[string][]byte{"tls.crt": cert, "tls.key": key, "more": key}, []string{"listen.crt", "listen.key"}, ""},
		"for the upstream":          {client, map[string][]byte{"tls.crt": cert, "tls.key": key}, []string{"upstream.crt", "upstream.key"}, ""},
		"an authority":              {ca, map[string][]byte{"ca.crt": cert}, []string{"upstream-ca.crt"}, ""},
		"no authority":              {ca, map[string][]byte{"ca.crt": []byte("nothing")}, nil, wsproxyv1alpha1.ReasonSecretInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			var secret *corev1.Secret
			if c.data != nil {
				secret = &corev1.Secret{Data: c.data}
			}
			wishes := Of(c.spec)
			if len(wishes) != 1 {
				t.Fatalf("%d wishes", len(wishes))
			}
			files := map[string][]byte{}
			problem := wishes[0].Resolve(secret, files)
			if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, c.want) {
				t.Errorf("files %v", got)
			}
			switch {
			case problem == nil && c.reason != "", problem != nil && problem.Reason != c.reason:
				t.Errorf("problem %+v", problem)
			}
		})
	}
}

func TestCarryIsAllOrNothing(t *testing.T) {
	wish := Of(&wsproxyv1alpha1.WebSocketProxySpec{Listen: wsproxyv1alpha1.Listen{TLS: &wsproxyv1alpha1.ListenTLS{SecretName: "s"}}})[0]
	files := map[string][]byte{}
	if wish.Carry(map[string][]byte{"listen.crt": []byte("x")}, files) || len(files) != 0 {
		t.Errorf("half a certificate was carried: %v", files)
	}
	if !wish.Carry(map[string][]byte{"listen.crt": []byte("x"), "listen.key": []byte("y"), "tls.key": []byte("z")}, files) || len(files) != 2 {
		t.Errorf("carried %v", files)
	}
}
