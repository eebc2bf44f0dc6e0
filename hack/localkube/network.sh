# shellcheck shell=bash
# shellcheck disable=SC2034 # Other parts use these names.
# The network of one instance: one namespace per node, joined by a bridge inside the first node's namespace.

# Nothing of it is visible from the machine's own namespace, so every instance uses the same addresses and none can
# collide with the machine's: there is no veth to the outside, no route, no packet filter rule. The price is that the
# cluster has no internet, and that whoever wants to talk to it enters with `hack/cluster shell`.
#
#   nodes      10.200.0.N          pods of node N      10.244.N.0/24          services      10.96.0.0/16

SERVICE_CIDR=10.96.0.0/16
POD_CIDR=10.244.0.0/16
API_CLUSTER_IP=10.96.0.1
API_SERVER=https://10.200.0.1:6443

node_name() { echo "$CLUSTER_NAME-node$1"; }
node_address() { echo "10.200.0.$1"; }
node_pod_cidr() { echo "10.244.$1.0/24"; }
node_namespace() { echo "/run/netns/$(node_name "$1")"; }

# `ip netns exec` would mount a fresh /sys over the old one and thereby hide /sys/fs/cgroup, without which the kubelet
# exits; nsenter changes the network and nothing else.
in_node() { # NODE COMMAND...
	local node=$1
	shift
	nsenter --net="$(node_namespace "$node")" "$@"
}

make_network() { # NODES
	local nodes=$1 first node name other
	first=$(node_name 1)
	for ((node = 1; node <= nodes; node++)); do
		name=$(node_name "$node")
		ip netns add "$name"
		ip -n "$name" link set lo up
		in_node "$node" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
		if ((node == 1)); then
			# A bridge and not a dummy device: some kernels have no dummy, and further nodes are plugged in here.
			ip -n "$first" link add eth0 type bridge
		else
			ip -n "$first" link add "node$node" type veth peer name eth0 netns "$name"
			ip -n "$first" link set "node$node" master eth0 up
		fi
		ip -n "$name" address add "$(node_address "$node")/24" dev eth0
		ip -n "$name" link set eth0 up
		# A packet to a ClusterIP needs some route before kube-proxy's rules get to see it, hence a default route that
		# leads nowhere.
		ip -n "$name" route add default dev eth0
		for ((other = 1; other <= nodes; other++)); do
			((other == node)) || ip -n "$name" route add "$(node_pod_cidr "$other")" via "$(node_address "$other")"
		done
	done
}
