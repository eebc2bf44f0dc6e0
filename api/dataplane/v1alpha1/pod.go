// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package dataplanev1alpha1

import "time"

// The ports of a data-plane pod. They are constants, so that spec.listen.port,
// which is the Service's, can change without replacing a pod.
const (
	// PortTraffic accepts clients.
	PortTraffic = 8080
	// PortControl serves the protocol of this package.
	PortControl = 8081
	// PortMetrics serves /metrics, /healthz and /readyz over plain HTTP.
	PortMetrics = 8082
)

// Where the operator mounts what a pod needs.
const (
	// ConfigDir is the mounted ConfigMap.
	ConfigDir = "/etc/wsproxy/config"
	// SecretDir is the mounted Secret.
	SecretDir = "/etc/wsproxy/tls" // #nosec G101 -- a path, not a credential.
	// StateDir is an emptyDir that outlives the container: the accepted snapshot
	// is kept there.
	StateDir = "/var/lib/wsproxy"
	// SnapshotFile is the name of the file that holds the snapshot as protobuf
	// JSON: the key of the ConfigMap.
	SnapshotFile = "snapshot.json"
	// KeptFile is the file in StateDir. It is binary, because that keeps also the
	// fields that this version does not know: the next one that starts there may.
	KeptFile = "snapshot.binpb"
)

// The keys of the Secret, which are the names of the files in SecretDir.
const (
	// FileControlCert and FileControlKey are what the pod shows on PortControl.
	FileControlCert = "tls.crt"
	FileControlKey  = "tls.key"
	// FileControlCA verifies those who call the pod: the bundle of the operator's
	// CA, old and new while it rotates.
	FileControlCA = "ca.crt"
	// FileListenCert and FileListenKey are what clients are shown.
	FileListenCert = "listen.crt"
	FileListenKey  = "listen.key"
	// FileUpstreamCA verifies the upstream.
	FileUpstreamCA = "upstream-ca.crt"
	// FileUpstreamCert and FileUpstreamKey are shown to the upstream.
	FileUpstreamCert = "upstream.crt"
	FileUpstreamKey  = "upstream.key"
)

// The DNS names in the client certificates of those who call a pod, and with
// them their rights.
const (
	// ClientOperator may call Configuration.
	ClientOperator = "operator.wsproxy.io"
	// ClientAPIServer may call Connections.
	ClientAPIServer = "apiserver.wsproxy.io"
)

// ServerName is the DNS name in the certificate of a proxy's data-plane pods.
// Callers verify it, and take namespace and proxy of what a pod says from here,
// never from the wire.
func ServerName(namespace, proxy string) string {
	return proxy + "." + namespace + ".dataplane.wsproxy.io"
}

// The environment of the data-plane container, set by the operator from the
// downward API.
const (
	EnvPodUID       = "POD_UID"
	EnvPodName      = "POD_NAME"
	EnvPodNamespace = "POD_NAMESPACE"
)

// GracePeriodSeconds is the constant termination grace period of a data-plane
// pod: the longest drain window (3,600 s) and 30 s to announce and to finish. It
// is constant so that changing the window replaces no pod.
const GracePeriodSeconds = 3630

// AcceptWhileDraining is how long a pod that drains still takes new clients,
// before the drain window begins: an EndpointSlice that no longer names it takes
// seconds to reach every node.
const AcceptWhileDraining = 5 * time.Second
