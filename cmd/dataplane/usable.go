// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

// usable says, outside of a pod, why a configuration does not go with flags and
// files, at the start and at each change alike. In a pod the operator has seen to
// both, or files are still on their way, and until then the pod is not ready.
func (p *process) usable(cfg *config.Config) error {
	if p.inPod() {
		return nil
	}
	return errors.Join(p.usableListenTLS(cfg), p.usableUpstreamTLS(cfg))
}

// usableListenTLS sees to it that clients are never served without TLS by mistake.
func (p *process) usableListenTLS(cfg *config.Config) error {
	given := p.tlsCertFile != ""
	switch cert, _ := p.listenPair(); {
	case given && !cfg.ListenTLS:
		return errors.New("spec.listen.tls is not set, so clients would be served without TLS although there is --tls-cert-file: " +
			"set it (its secretName may be any name here), or leave --tls-cert-file and --tls-key-file out")
	case cfg.ListenTLS && cert == "":
		return errors.New("spec.listen.tls needs a certificate: set --tls-cert-file and --tls-key-file")
	case cfg.ListenTLS:
		if _, err := p.certificate.Current(); err != nil {
			return fmt.Errorf("spec.listen.tls: %w", err)
		}
	}
	return nil
}

func (p *process) usableUpstreamTLS(cfg *config.Config) error {
	t := cfg.UpstreamTLS
	if t != nil && (t.CA || t.ClientCertificate) && p.secretDir == "" {
		return fmt.Errorf("spec.upstream.tls needs files: set --secret-dir, with %s for caSecretName, and %s and %s for clientCertSecretName",
			dataplanev1alpha1.FileUpstreamCA, dataplanev1alpha1.FileUpstreamCert, dataplanev1alpha1.FileUpstreamKey)
	}
	if err := p.dialer.CheckCredentials(cfg); err != nil {
		return fmt.Errorf("spec.upstream.tls: %w", err)
	}
	return nil
}
