# shellcheck shell=bash
# The same commands for CLUSTER=kind, where Docker and kind are present.

kind_state() { echo "$STATE_ROOT/kind-$CLUSTER_NAME"; }

need_kind() {
	local program
	for program in docker kind; do
		command -v "$program" >/dev/null || die "CLUSTER=kind needs $program in the PATH"
	done
}

kind_up() { # [NODES]
	local nodes=${1:-1}
	need_kind
	mkdir -p "$(kind_state)"
	if kind get clusters 2>/dev/null | grep -qxF "$CLUSTER_NAME"; then
		say "kind cluster $CLUSTER_NAME is already up"
	else
		say "creating kind cluster $CLUSTER_NAME, $nodes node(s)"
		{
			printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n'
			local node
			for ((node = 2; node <= nodes; node++)); do echo "- role: worker"; done
		} | kind create cluster --name "$CLUSTER_NAME" --config - --wait 120s >&2
	fi
	kind get kubeconfig --name "$CLUSTER_NAME" >"$(kind_state)/kubeconfig"
}

kind_down() {
	need_kind
	kind delete cluster --name "$CLUSTER_NAME" >&2
	rm -rf "$(kind_state)"
}

kind_load() { # ARCHIVE...
	need_kind
	local archive
	for archive in "$@"; do
		kind load image-archive "$archive" --name "$CLUSTER_NAME" >&2
	done
}

kind_kubeconfig() {
	[[ -e $(kind_state)/kubeconfig ]] ||
		die "kind cluster $CLUSTER_NAME is not up; start it with: CLUSTER=kind hack/cluster up"
	echo "$(kind_state)/kubeconfig"
}

# Docker's published port makes the API reachable from here, but pod addresses are not on every machine.
kind_shell() { # [COMMAND...]
	exec env KUBECONFIG="$(kind_kubeconfig)" "$@"
}
