// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/tracing"
	"github.com/wsproxy/wsproxy/dataplane/config"
)

// options are the flags and the environment. Empty addresses are replaced when
// the configuration is known.
type options struct {
	config    string
	stateDir  string
	secretDir string

	// listenAddress may come from the configuration: then fromListenPort is true.
	listenAddress  string
	fromListenPort bool
	controlAddress string
	metricsAddress string

	tlsCertFile string
	tlsKeyFile  string

	// reconnectMemory is in bytes.
	reconnectMemory int64

	tracing tracing.Options

	logLevel  slog.Level
	logFormat string
	version   bool

	// podUID is set by the operator; empty outside of its pods.
	podUID string
}

// inPod says whether the operator made the pod that we are in: the control port
// is then open to other pods and speaks mutual TLS.
func (o options) inPod() bool { return o.podUID != "" }

func parse(args []string, getenv func(string) string, usage io.Writer) (options, error) {
	o := options{podUID: getenv(dataplanev1alpha1.EnvPodUID)}
	flags := flag.NewFlagSet("dataplane", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&o.config, "config", "", "`file` with a WebSocketProxy (YAML or JSON, upstream.url) or a snapshot; changes of a WebSocketProxy are applied live")
	flags.StringVar(&o.stateDir, "state-dir", "", "`directory` to keep the accepted configuration in, which a restart begins with; empty: nowhere")
	flags.StringVar(&o.secretDir, "secret-dir", "", "`directory` with certificates: tls.crt, tls.key and ca.crt for the control port, listen.crt and listen.key for clients, upstream-ca.crt, upstream.crt and upstream.key for the upstream")
	flags.StringVar(&o.listenAddress, "listen-address", "", "`address` for clients (default :8080, or the listen.port of a WebSocketProxy on all addresses)")
	flags.StringVar(&o.controlAddress, "control-address", "", "`address` of the control protocol (default 127.0.0.1:8081, in a pod of the operator :8081)")
	flags.StringVar(&o.metricsAddress, "metrics-address", port(dataplanev1alpha1.PortMetrics), "`address` for /metrics, /healthz and /readyz")
	flags.StringVar(&o.tlsCertFile, "tls-cert-file", "", "`file` with the certificate for clients, instead of listen.crt in --secret-dir")
	flags.StringVar(&o.tlsKeyFile, "tls-key-file", "", "`file` with its key, instead of listen.key in --secret-dir")
	o.reconnectMemory = defaultReconnectMemory(cgroupMemoryLimit)
	flags.Func("reconnect-memory", "`bytes`, such as 128Mi, that may be kept for reconnects: of all connections the handshakes, and messages of clients whose upstream is away; beyond it these clients are not read from, and new connections are not reconnectable (default 256Mi, or a quarter of the container's memory limit where that is less)", func(text string) error {
		quantity, err := resource.ParseQuantity(text)
		if err == nil && quantity.Sign() < 0 {
			err = errors.New("must not be negative")
		}
		o.reconnectMemory = quantity.Value()
		return err
	})
	flags.StringVar(&o.tracing.Endpoint, tracing.FlagEndpoint, "", tracing.UsageEndpoint)
	flags.Float64Var(&o.tracing.Ratio, tracing.FlagRatio, tracing.DefaultRatio, tracing.UsageRatio)
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "least `level` that is logged: debug, info, warn or error")
	flags.StringVar(&o.logFormat, "log-format", "json", "`format` of the log: json or text")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.version {
		return o, nil
	}
	return o, o.check(flags.Args())
}

func (o options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.config == "":
		return errors.New("--config is required")
	case o.logFormat != "json" && o.logFormat != "text":
		return fmt.Errorf("--log-format: %q: must be json or text", o.logFormat)
	case (o.tlsCertFile == "") != (o.tlsKeyFile == ""):
		return errors.New("--tls-cert-file and --tls-key-file belong together")
	case o.inPod() && o.secretDir == "":
		return fmt.Errorf("--secret-dir is required in a pod, where the control port needs certificates (%s is set)", dataplanev1alpha1.EnvPodUID)
	}
	return o.tracing.Check()
}

// complete puts the addresses in that depend on the configuration.
func (o options) complete(file *config.File) options {
	if o.listenAddress == "" {
		o.listenAddress = port(dataplanev1alpha1.PortTraffic)
		if file.Manifest != nil {
			o.listenAddress, o.fromListenPort = port(int(file.Manifest.Spec.EffectivePort())), true
		}
	}
	if o.controlAddress == "" {
		o.controlAddress = port(dataplanev1alpha1.PortControl)
		if !o.inPod() {
			o.controlAddress = "127.0.0.1" + o.controlAddress
		}
	}
	return o
}

// listenPair returns the files of the certificate for clients and of its key; empty
// where there are none.
func (o options) listenPair() (cert, key string) {
	if o.tlsCertFile == "" && o.secretDir != "" {
		return filepath.Join(o.secretDir, dataplanev1alpha1.FileListenCert), filepath.Join(o.secretDir, dataplanev1alpha1.FileListenKey)
	}
	return o.tlsCertFile, o.tlsKeyFile
}

// port is the address of a port on all addresses.
func port(n int) string { return net.JoinHostPort("", strconv.Itoa(n)) }
