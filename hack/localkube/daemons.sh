# shellcheck shell=bash
# Starting the daemons of an instance, and finding whatever is left of them.

# Every daemon carries this variable, and so does all it starts but the containers, which get the environment of their
# image. A pid file would miss what was orphaned by a crash; a search in command lines would also hit a pager that
# shows a log file.
MARK=WSPROXY_LOCALKUBE=$STATE

# setsid, so that a daemon outlives the terminal and the Ctrl-C of whoever ran `up`; 9 is the lock, which must not be
# inherited. The soft limit of open files is low by habit (1,024) and too low for etcd and containerd.
start_daemon() { # NODE NAME COMMAND...
	local node=$1 name=$2
	shift 2
	(
		ulimit -n "$(ulimit -Hn)"
		exec setsid nsenter --net="$(node_namespace "$node")" env "$MARK" "$@" </dev/null >>"$STATE/logs/$name.log" 2>&1 9>&-
	) &
	echo $! >"$STATE/pids/$name"
	disown $!
}

daemons_alive() {
	local file
	for file in "$STATE"/pids/*; do
		# A pid may have been given to somebody else since, so the mark is looked at and not only the number.
		grep -qzsxF "$MARK" "/proc/$(<"$file")/environ" || return 1
	done
}

node_namespaces() { # the names of those that exist
	local path
	for path in /run/netns/"$CLUSTER_NAME"-node*; do
		# Another instance may be called wsproxy-node1-x.
		[[ $path =~ /"$CLUSTER_NAME"-node[0-9]+$ ]] && basename "$path"
	done
	return 0
}

# The process that runs this script and its parents: `down` may be called from inside `hack/cluster shell`.
own_processes() {
	local pid=$$ stat
	while ((pid > 1)); do
		echo "$pid"
		stat=$(<"/proc/$pid/stat")
		# The second field is the command in parentheses and may contain blanks.
		stat=${stat##*) }
		read -r _ pid _ <<<"$stat"
	done
}

# Daemons are found by their mark, containers by their cgroup, and what was started through `shell` by its namespace.
instance_processes() {
	local name
	{
		grep -lzsxF "$MARK" /proc/[0-9]*/environ | cut -d/ -f3 || true
		cgroup_processes
		for name in $(node_namespaces); do
			find -L /proc/[0-9]*/ns/net -maxdepth 0 -samefile "/run/netns/$name" 2>/dev/null | cut -d/ -f3 || true
		done
	} | sort -u | grep -vxF -f <(own_processes) || true
}

# SIGKILL at once: nothing in a throw-away cluster is worth a graceful end, and the mounts of a node vanish together
# with the last process of its mount namespace. Repeated, since what is being killed may be forking.
kill_instance() {
	local pids listed pid deadline=$((SECONDS + 15))
	while true; do
		# Called from inside `shell`, the search finds its own helpers in the namespace, which are gone when it ends.
		listed=$(instance_processes) pids=()
		for pid in $listed; do
			[[ ! -d /proc/$pid ]] || pids+=("$pid")
		done
		((${#pids[@]})) || return 0
		((SECONDS < deadline)) || die "these processes do not die: ${pids[*]}"
		kill -KILL "${pids[@]}" 2>/dev/null || true
		sleep 0.1
	done
}
