# shellcheck shell=bash
# The Go module from which every Kubernetes binary is built.
#
# The module of the default version is committed (kubernetes/go.mod, go.sum), so that everybody builds the same bytes.
# It is written by this file, and so is the module of any other version, in the cache folder:
#   hack/localkube/module.sh v1.36.3 hack/localkube/kubernetes

# The staging modules (k8s.io/api, …) are required by Kubernetes as v0.0.0 and replaced by folders of its own
# repository. Replaces do not reach the importer, so each has to be repeated here with the tag that was published.
write_kubernetes_module() { # VERSION DIR
	local version=$1 dir=$2 upstream etcd
	mkdir -p "$dir"
	upstream=$(cd "$dir" && GOWORK=off GOFLAGS=-mod=mod go mod download -json "k8s.io/kubernetes@$version" |
		sed -n 's/^\t"GoMod": "\(.*\)",\{0,1\}$/\1/p') || true
	[[ -r $upstream ]] || { echo "no such version of k8s.io/kubernetes: $version" >&2; return 1; }
	# The etcd that this Kubernetes was tested with has the version of the client it links.
	etcd=$(awk '$1 == "go.etcd.io/etcd/client/v3" { print $2 }' "$upstream")
	rm -f "$dir/go.sum"
	{
		echo "// Written by hack/localkube/module.sh $version; do not edit."
		echo "module github.com/wsproxy/wsproxy/hack/localkube/kubernetes"
		echo
		grep -E '^go ' "$upstream"
		echo
		# Without the same GODEBUG defaults the binaries would behave otherwise than the released ones.
		grep -E '^godebug ' "$upstream" || true
		echo
		echo "tool ("
		printf '\tk8s.io/kubernetes/cmd/%s\n' kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet
		printf '\tgo.etcd.io/etcd/server/v3\n)\n\n'
		echo "require ("
		printf '\tk8s.io/kubernetes %s\n\tgo.etcd.io/etcd/server/v3 %s\n)\n\n' "$version" "$etcd"
		echo "replace ("
		awk -v tag="v0.${version#v1.}" '$2 == "=>" && $3 ~ /^\.\/staging\// { print "\t" $1 " => " $1 " " tag }' "$upstream"
		echo ")"
	} >"$dir/go.mod"
	(cd "$dir" && GOWORK=off GOFLAGS=-mod=mod go mod tidy)
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
	set -euo pipefail
	write_kubernetes_module "$1" "$2"
fi
