# shellcheck shell=bash
# The programs of the distribution that a node consists of.

# Programs, not packages, are looked for: a machine with Docker has containerd and runc from packages of other names,
# and installing Debian's would remove those.
declare -A PACKAGE_OF=(
	[containerd]=containerd [ctr]=containerd [runc]=runc [nft]=nftables [iptables]=iptables [conntrack]=conntrack
	[ip]=iproute2 [openssl]=openssl [nsenter]=util-linux [unshare]=util-linux [flock]=util-linux [setsid]=util-linux
)

# Debian has the CNI plugins in the first folder, nearly everybody else in the second. ptp stands for all of them.
cni_bin_dir() {
	local dir
	for dir in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do
		[[ -x $dir/ptp && -x $dir/host-local && -x $dir/loopback ]] && echo "$dir" && return
	done
	return 1
}

missing_packages() {
	local program
	for program in "${!PACKAGE_OF[@]}"; do
		command -v "$program" >/dev/null || echo "${PACKAGE_OF[$program]}"
	done
	cni_bin_dir >/dev/null || echo containernetworking-plugins
}

ensure_packages() {
	local missing
	mapfile -t missing < <(missing_packages | sort -u)
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null ||
		die "missing: ${missing[*]} (Debian's names). They are installed only on Debian and Ubuntu; please install them"
	say "installing Debian packages: ${missing[*]}"
	mkdir -p "$STATE_ROOT"
	{
		# A fresh machine or image has no package lists, and then apt-get knows no package at all.
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
	} >"$STATE_ROOT/apt.log" 2>&1 || die "apt-get failed: $(tail -n 3 "$STATE_ROOT/apt.log")"
	rm "$STATE_ROOT/apt.log"
	hash -r
	mapfile -t missing < <(missing_packages | sort -u)
	((${#missing[@]} == 0)) || die "still missing after apt-get: ${missing[*]}"
}
