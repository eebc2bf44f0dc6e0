# shellcheck shell=bash
# A node: containerd, kubelet and kube-proxy in a network and a mount namespace of their own.

node_dir() { echo "$STATE/node$1"; }

# Files of the machine that containerd, runc, the CNI plugins and the kubelet use whatever they are told by flags. Each
# node sees a folder of its own instead, in its own mount namespace: nodes and instances do not disturb each other or a
# Docker on the machine, and when the last process of a node is gone, all its mounts are gone too.
# `down` leaves the (empty) mount points alone: removing one would unmount it in the nodes of every other instance.
NODE_FOLDERS=(/var/lib/containerd /run/containerd /run/runc /var/lib/kubelet /var/lib/cni /var/log)

# The mount namespace is a slave: it sees what is unmounted outside, and nothing of it is seen outside. Were it
# private, it would keep alive the network namespaces of other instances that existed when it was made.
# shellcheck disable=SC2016 # The inner shell expands these.
MOUNT_AND_RUN='node=$1; shift
while [ "$1" != -- ]; do mount --bind "$node$1" "$1"; shift; done
shift; exec "$@"'

filesystem() { stat -f -c %T "$STATE"; }

# The options are for containerd 1.6 and later. restrict_oom_score_adj: without CAP_SYS_RESOURCE runc cannot lower the
# score and dies with "can't get final child's PID from pipe".
write_containerd_config() { # NODE
	local snapshotter=overlayfs
	# An overlay cannot lie on top of another, so inside a container plain copies are used.
	[[ $(filesystem) != overlayfs ]] || snapshotter=native
	cat <<TOML
version = 2
disabled_plugins = ["io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$(cni_bin_dir)"
    conf_dir = "$(node_dir "$1")/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$snapshotter"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
TOML
}

# ptp and not bridge: with a bridge, the answer of a pod to its neighbour behind a Service would bypass kube-proxy's
# address translation wherever the kernel lacks br_netfilter.
write_cni_config() { # NODE
	cat <<JSON
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "mtu": 1500, "ipam": {
  "type": "host-local", "ranges": [[{"subnet": "$(node_pod_cidr "$1")"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
}

# Images are never collected and a full disk never evicts: what `load` brought in can be had from nowhere else, and a
# developer's disk is often nine tenths full.
write_kubelet_config() { # NODE
	local disk=true
	# The kubelet exits when it is to measure a disk that it cannot: elsewhere pods go without ephemeral-storage limits.
	[[ $(filesystem) =~ ^(ext2/ext3|xfs)$ ]] || disk=false
	cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$(node_name "$1")
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: $disk
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
maxOpenFiles: $(ulimit -Hn)
resolvConf: ""
clusterDomain: cluster.local
volumePluginDir: /var/lib/kubelet/plugins
tlsCertFile: $PKI/kubelet-$1.crt
tlsPrivateKeyFile: $PKI/kubelet-$1.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $PKI/ca.crt}
authorization: {mode: Webhook}
YAML
}

start_containerd() { # NODE
	local dir folder
	dir=$(node_dir "$1")
	mkdir -p "$dir/cni"
	for folder in "${NODE_FOLDERS[@]}"; do
		mkdir -p "$dir$folder" "$folder"
	done
	write_containerd_config "$1" >"$dir/containerd.toml"
	write_cni_config "$1" >"$dir/cni/10-pods.conflist"
	start_daemon "$1" "containerd-$1" unshare --mount --propagation slave \
		sh -c "$MOUNT_AND_RUN" sh "$dir" "${NODE_FOLDERS[@]}" -- containerd --config "$dir/containerd.toml"
}

# The socket is addressed by its path outside the mount namespace: at the usual path, until containerd has its own
# namespace, the machine's containerd would answer.
ctr_on() { # NODE ARGUMENTS...
	local node=$1
	shift
	ctr --address "$(node_dir "$node")/run/containerd/containerd.sock" --namespace k8s.io "$@"
}

start_kubelet() { # NODE
	local dir
	dir=$(node_dir "$1")
	write_kubelet_config "$1" >"$dir/kubelet.yaml"
	start_daemon "$1" "kubelet-$1" nsenter --mount --target "$(<"$STATE/pids/containerd-$1")" \
		"$BIN/kubelet" --config="$dir/kubelet.yaml" --kubeconfig="$PKI/kubelet-$1.kubeconfig" \
		--hostname-override="$(node_name "$1")" --node-ip="$(node_address "$1")"
}

# The conntrack settings belong to the whole machine, so they are left alone: zero says so.
start_kube_proxy() { # NODE
	start_daemon "$1" "kube-proxy-$1" "$BIN/kube-proxy" --kubeconfig="$PKI/kube-proxy.kubeconfig" \
		--hostname-override="$(node_name "$1")" --proxy-mode=nftables --cluster-cidr="$POD_CIDR" \
		--conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}
