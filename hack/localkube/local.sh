# shellcheck shell=bash
# The commands for CLUSTER=local: a Kubernetes of processes and namespaces on this machine.

need_root() {
	((EUID == 0)) || die "a local cluster makes namespaces and cgroups, so this needs root (sudo -E $0 …)"
}

# One `up` or `down` at a time on a machine: they look for each other's remains and must not see half of a start.
lock_machine() {
	mkdir -p "$STATE_ROOT"
	exec 9<"$STATE_ROOT"
	flock -n 9 || { say "waiting for another hack/cluster"; flock 9; }
}

# The number of nodes is written when everything was ready, so its file also tells a finished start from a broken one.
nodes_of_instance() { cat "$STATE/nodes" 2>/dev/null; }

nodes_ready() { # NODES
	local ready
	ready=$(kubectl get nodes --no-headers | awk '$2 == "Ready"' | wc -l)
	((ready == $1)) || { echo "$ready of $1 nodes are ready" && return 1; }
}

is_up() {
	local nodes
	nodes=$(nodes_of_instance) && [[ -e $(node_namespace 1) ]] && daemons_alive && api_ready && nodes_ready "$nodes"
} >/dev/null 2>&1

need_up() {
	need_root
	[[ -e $STATE/nodes && -e $(node_namespace 1) ]] ||
		die "cluster $CLUSTER_NAME is not up; start it with: hack/cluster up"
}

# Called by `down` also when nothing seems to be there, since a crash may have left any of the four.
remains() { [[ -e $STATE || -n $(node_namespaces)$(node_cgroups)$(instance_processes) ]]; }

remove_instance() {
	local name
	kill_instance
	wait_for 10 "the cgroups to empty" remove_cgroups
	for name in $(node_namespaces); do
		ip netns delete "$name"
	done
	# All mounts were in the namespaces of the nodes. Should one be here after all, nothing behind it is deleted.
	rm -rf --one-file-system "$STATE"
}

local_up() { # [NODES]
	local nodes=${1:-} node
	need_root
	ensure_packages
	ensure_binaries "${ALL_BINARIES[@]}"
	lock_machine
	if is_up; then
		[[ ${nodes:-$(nodes_of_instance)} == "$(nodes_of_instance)" ]] ||
			die "cluster $CLUSTER_NAME is up with $(nodes_of_instance) node(s); run 'hack/cluster down' first"
		say "cluster $CLUSTER_NAME is already up"
		return
	fi
	nodes=${nodes:-1}
	if remains; then
		say "removing what an earlier cluster $CLUSTER_NAME left"
		remove_instance
	fi
	mkdir -p "$STATE"/{logs,pids}
	say "network and certificates of $CLUSTER_NAME, $nodes node(s)"
	make_network "$nodes"
	make_control_plane_certificates
	say "control plane"
	start_etcd
	start_apiserver
	prepare_nodes "$nodes"
	wait_for 60 "the API server" api_ready
	start_controllers
	for ((node = 1; node <= nodes; node++)); do
		start_kubelet "$node"
		start_kube_proxy "$node"
	done
	say "waiting for nodes and the default ServiceAccount"
	wait_for 120 "the nodes" nodes_ready "$nodes"
	wait_for 60 "the default ServiceAccount" default_service_account_exists
	daemons_alive || die "a daemon ended; logs are in $STATE/logs"
	echo "$nodes" >"$STATE/nodes"
	say "cluster $CLUSTER_NAME is up: enter it with 'hack/cluster shell'"
}

# What a node needs before its kubelet may start, done while the API server is still busy starting.
prepare_nodes() { # NODES
	local node
	for ((node = 1; node <= $1; node++)); do
		make_node_certificate "$node"
		make_node_cgroups "$node"
		start_containerd "$node"
	done
	build_pause_archive "$STATE/pause.tar"
	for ((node = 1; node <= $1; node++)); do
		wait_for 30 "containerd of node $node" ctr_on "$node" version
	done
	load_everywhere "$1" "$STATE/pause.tar"
}

local_down() {
	need_root
	lock_machine
	if ! remains; then
		say "there is no cluster $CLUSTER_NAME"
		return
	fi
	say "removing cluster $CLUSTER_NAME"
	remove_instance
	say "removed"
}

local_load() { # ARCHIVE...
	need_up
	load_everywhere "$(nodes_of_instance)" "$@"
	say "loaded into $(nodes_of_instance) node(s): $*"
}

local_kubeconfig() {
	need_up
	echo "$STATE/kubeconfig"
}

# exec, so that the caller's signals reach the command and its exit code the caller. Helm is there as soon as
# hack/helm/binary has built it, which hack/deploy makes it do.
local_shell() { # [COMMAND...]
	need_up
	exec nsenter --net="$(node_namespace 1)" \
		env KUBECONFIG="$STATE/kubeconfig" KUBECACHEDIR="$STATE/kubectl-cache" PATH="$BIN:$(dirname "$("$LOCALKUBE/../helm/binary" --path)"):$PATH" "$@"
}
