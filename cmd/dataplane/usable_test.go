// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
)

// specified writes a manifest with the fields of a spec, in one line of YAML.
func specified(t *testing.T, path, fields string) {
	t.Helper()
	certstest.Replace(t, path, []byte(`{apiVersion: wsproxy.io/v1alpha1, kind: WebSocketProxy, metadata: {name: echo}, spec: {`+fields+`}}`))
}

const (
	plainUpstream = `upstream: {url: "ws://127.0.0.1:1"}`
	listenTLS     = plainUpstream + `, listen: {tls: {secretName: any}}`
)

// What a start refuses, a reload refuses too, and in the same words.
func TestAConfigurationThatDoesNotGoWithFlagsAndFilesIsRefused(t *testing.T) {
	authority, dir := certstest.New(t), t.TempDir()
	cert, key := filepath.Join(dir, "proxy.crt"), filepath.Join(dir, "proxy.key")
	authority.Write(t, cert, key, "chat.example")
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	withCert := []string{"--tls-cert-file=" + cert, "--tls-key-file=" + key}
	for name, test := range map[string]struct {
		flags     []string
		good, bad string
		says      []string
	}{
		"a certificate that would not be used": {
			withCert, listenTLS, plainUpstream, []string{"spec.listen.tls is not set", "--tls-cert-file"},
		},
		"no certificate": {
			nil, plainUpstream, listenTLS, []string{"spec.listen.tls", "--tls-cert-file"},
		},
		"no certificate in the directory": {
			[]string{"--secret-dir=" + empty}, plainUpstream, listenTLS, []string{"spec.listen.tls", filepath.Join(empty, "listen.crt")},
		},
		"no directory for the upstream's CA": {
			nil, plainUpstream, `upstream: {url: "wss://127.0.0.1:1", tls: {caSecretName: any}}`, []string{"spec.upstream.tls", "--secret-dir", "upstream-ca.crt"},
		},
		"no CA in the directory": {
			[]string{"--secret-dir=" + empty}, plainUpstream, `upstream: {url: "wss://127.0.0.1:1", tls: {caSecretName: any}}`, []string{"spec.upstream.tls", filepath.Join(empty, "upstream-ca.crt")},
		},
		"no certificate for the upstream": {
			[]string{"--secret-dir=" + empty}, plainUpstream, `upstream: {url: "wss://127.0.0.1:1", tls: {clientCertSecretName: any}}`, []string{"spec.upstream.tls", filepath.Join(empty, "upstream.crt")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "proxy.yaml")
			args := append([]string{"--config=" + path}, test.flags...)
			specified(t, path, test.bad)
			ports := []string{"--listen-address=127.0.0.1:0", "--control-address=127.0.0.1:0", "--metrics-address=127.0.0.1:0"}
			err := run(t.Context(), t.Context(), append(args, ports...), nowhere, io.Discard, io.Discard)
			if err == nil {
				t.Fatal("it starts")
			}
			for _, text := range test.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("a start says %v, want %q", err, text)
				}
			}

			specified(t, path, test.good)
			r := launch(t, nowhere, args...)
			before := r.store.Current()
			specified(t, path, test.bad)
			r.says(t, "the configuration stays")
			for _, text := range test.says {
				if !strings.Contains(r.log.String(), text) {
					t.Errorf("a reload does not say %q:\n%s", text, r.log)
				}
			}
			if r.store.Current() != before {
				t.Error("it was put in force")
			}
			specified(t, path, test.good+`, settings: {maxRetries: 77}`)
			eventually(t, "the next one is in force", func() bool { return r.store.Current().MaxRetries == 77 })
		})
	}
}

func TestACertificateMayComeAfterTheConfigurationThatNeedsIt(t *testing.T) {
	authority, dir := certstest.New(t), t.TempDir()
	path := filepath.Join(dir, "proxy.yaml")
	specified(t, path, plainUpstream)
	r := launch(t, nowhere, "--config="+path, "--secret-dir="+dir)
	specified(t, path, listenTLS)
	r.says(t, "the configuration stays")
	authority.Write(t, filepath.Join(dir, dataplanev1alpha1.FileListenCert), filepath.Join(dir, dataplanev1alpha1.FileListenKey), "chat.example")
	eventually(t, "clients use TLS", func() bool { return r.store.Current().ListenTLS })
	conn, err := tls.Dial("tcp", r.trafficListener.Addr().String(), &tls.Config{RootCAs: authority.Pool(), ServerName: "chat.example"})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if got := strings.Count(r.log.String(), "the configuration stays"); got != 1 {
		t.Errorf("it was logged %d times that it was refused:\n%s", got, r.log)
	}
}

func TestWhatChangedIsLoggedWhereverItComesFrom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.yaml")
	specified(t, path, plainUpstream)
	r := launch(t, nowhere, "--config="+path)
	specified(t, path, plainUpstream+`, settings: {maxRetries: 7}, listen: {paths: [/chat]}, replicas: 3`)
	r.says(t, `"Configuration applied" "changes"="settings.maxRetries: 3 -> 7; listen.paths: none -> /chat"`)
	r.says(t, `"ignored"=["spec.replicas"]`)

	configuration := dataplanev1alpha1.NewConfigurationClient(r.controlConn(t, insecure.NewCredentials()))
	snapshot := proto.CloneOf(r.store.Current().Snapshot)
	snapshot.Version, snapshot.Settings.MaxRetries = 42, 8
	if _, err := configuration.Apply(t.Context(), &dataplanev1alpha1.ApplyRequest{Snapshot: snapshot}); err != nil {
		t.Fatal(err)
	}
	r.says(t, `"Configuration applied" "version"=42 "changes"="settings.maxRetries: 7 -> 8"`)

	snapshot.Version, snapshot.Listen.Tls = 43, true
	if _, err := configuration.Apply(t.Context(), &dataplanev1alpha1.ApplyRequest{Snapshot: snapshot}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a certificate: %v", err)
	}
}

func TestThePortOfTheManifestIsSpokenOfOnlyWhereItIsUsed(t *testing.T) {
	// A port that is free at this moment; that somebody else takes it before we do
	// would be a coincidence.
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	const waits = "listen.port takes effect at the next start"
	edit := func(r running, path string) {
		specified(t, path, plainUpstream+`, listen: {port: 4711}, settings: {maxRetries: 7}`)
		r.says(t, "settings.maxRetries: 3 -> 7")
	}
	path := filepath.Join(t.TempDir(), "proxy.yaml")

	specified(t, path, plainUpstream)
	r := launch(t, nowhere, "--config="+path)
	edit(r, path)
	// Each line of a reload is written before the file is looked at again.
	specified(t, path, plainUpstream+`, listen: {port: 4711}, settings: {maxRetries: 8}`)
	r.says(t, "settings.maxRetries: 7 -> 8")
	if strings.Contains(r.log.String(), waits) {
		t.Errorf("with --listen-address:\n%s", r.log)
	}

	specified(t, path, plainUpstream+`, listen: {port: `+strconv.Itoa(free)+`}`)
	r = launchAt(t, nowhere, "--config="+path)
	edit(r, path)
	r.says(t, waits)
}
