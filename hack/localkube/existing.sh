# shellcheck shell=bash
# The same commands for CLUSTER=existing: somebody else's cluster, given by KUBECONFIG, which is only looked at.

existing_kubeconfig() {
	[[ -n ${KUBECONFIG:-} ]] || die "CLUSTER=existing needs KUBECONFIG"
	echo "$KUBECONFIG"
}

existing_up() {
	existing_kubeconfig >/dev/null
	command -v kubectl >/dev/null || die "CLUSTER=existing needs kubectl in the PATH"
	kubectl --request-timeout=10s get --raw=/readyz >/dev/null || die "the cluster of $KUBECONFIG does not answer"
	say "the cluster of $KUBECONFIG is ready"
}

existing_down() { say "the cluster of ${KUBECONFIG:-KUBECONFIG} is not ours to remove"; }

existing_load() {
	die "images cannot be loaded into an existing cluster: push them to a registry that it pulls from," \
		"and set the image names accordingly"
}

existing_shell() { # [COMMAND...]
	existing_kubeconfig >/dev/null
	exec "$@"
}
