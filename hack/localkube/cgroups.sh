# shellcheck shell=bash
# One cgroup per node, in which its kubelet keeps those of its pods.

# Two kubelets with the same root would take each other's pods for orphans and kill them.

cgroup_mounts() { awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts; }

node_cgroups() { # every folder of every node of this instance
	local mount path
	for mount in $(cgroup_mounts); do
		for path in "$mount/$CLUSTER_NAME"-node*; do
			[[ -d $path && $path =~ /"$CLUSTER_NAME"-node[0-9]+$ ]] && echo "$path"
		done
	done
	return 0
}

make_node_cgroups() { # NODE
	local mount file path name
	name=$(node_name "$1")
	for mount in $(cgroup_mounts); do
		# Version 2: a controller exists below a cgroup only when its parent hands it down. On a machine with both
		# versions the second one has no controllers, and there is nothing to hand down.
		if [[ -s $mount/cgroup.controllers ]]; then
			sed 's/\</+/g' "$mount/cgroup.controllers" >"$mount/cgroup.subtree_control" || true
		fi
		path=$mount/$name
		mkdir -p "$path"
		# Version 1: a new cpuset is empty, and no process can enter it before it has processors and memory nodes.
		for file in cpuset.cpus cpuset.mems; do
			[[ -e $mount/tasks && -e $mount/$file ]] && cat "$mount/$file" >"$path/$file"
		done
	done
	return 0
}

cgroup_processes() {
	local path
	for path in $(node_cgroups); do
		find "$path" -name cgroup.procs -exec cat {} + 2>/dev/null || true
	done
}

remove_cgroups() {
	local path
	for path in $(node_cgroups); do
		# The kernel may need a moment after the last process is gone, so the caller's wait_for tries again.
		find "$path" -depth -type d -exec rmdir {} + || return 1
	done
}
