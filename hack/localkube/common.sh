# shellcheck shell=bash
# shellcheck disable=SC2034 # Other parts use these names.
# Names, folders and printing shared by every part of hack/cluster.

CLUSTER=${CLUSTER:-local}
CLUSTER_NAME=${CLUSTER_NAME:-wsproxy}
KUBERNETES_VERSION=${KUBERNETES_VERSION:-v1.36.3}
DEFAULT_KUBERNETES_VERSION=v1.36.3

LOCALKUBE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ARCH=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/wsproxy/kubernetes
BIN=$CACHE/$KUBERNETES_VERSION/$ARCH/bin
# Everything that belongs to one instance lives below STATE, and every process of it is started with this path in its
# command line or in its network namespace: that is how `down` finds what a crash left behind.
STATE_ROOT=/var/tmp/wsproxy-cluster
STATE=$STATE_ROOT/$CLUSTER_NAME

# Everything is printed on stderr, since the stdout of `kubeconfig` and `assets` is a path for other programs.
say() { printf '%4ds  %s\n' "$SECONDS" "$*" >&2; }
die() {
	printf 'hack/cluster: %s\n' "$*" >&2
	exit 1
}

# wait_for polls, because none of these programs says by itself when it is ready. What the last attempt printed is
# shown when time is up; without it the reader would have to guess.
wait_for() { # SECONDS WHAT COMMAND...
	local deadline=$((SECONDS + $1)) what=$2 output
	shift 2
	until output=$("$@" 2>&1); do
		((SECONDS < deadline)) || die "gave up waiting for $what: ${output:-no output}; logs are in $STATE/logs"
		sleep 0.2
	done
}
