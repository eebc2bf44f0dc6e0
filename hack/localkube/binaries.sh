# shellcheck shell=bash
# shellcheck disable=SC2034 # Other parts use these names.
# Kubernetes and etcd, built from source once and kept outside the checkout.

# Why from source: it needs nothing but the Go module proxy, works on every architecture that Go knows, and the
# checksums are pinned in go.sum. The price is minutes of compiling at the first use.

API_BINARIES=(etcd kube-apiserver kubectl)
ALL_BINARIES=("${API_BINARIES[@]}" kube-controller-manager kube-scheduler kubelet kube-proxy)

# Most of the time goes into what kube-apiserver links; the others share it. In CPU minutes, as measured.
minutes_to_build() { # BINARY...
	local work=1 name
	for name in "$@"; do
		if [[ $name == kube-apiserver ]]; then work=$((work + 8)); else work=$((work + 1)); fi
	done
	echo $(((work + $(nproc) - 1) / $(nproc)))
}

missing_binaries() { # BINARY...
	local name
	for name in "$@"; do
		[[ -x $BIN/$name ]] || echo "$name"
	done
}

# The committed module serves the default version. For any other version one is written beside its binaries.
module_dir() {
	if [[ $KUBERNETES_VERSION == "$DEFAULT_KUBERNETES_VERSION" ]]; then
		echo "$LOCALKUBE/kubernetes"
		return
	fi
	local dir=$CACHE/$KUBERNETES_VERSION/module
	if [[ ! -e $dir/done ]]; then
		say "writing a Go module for Kubernetes $KUBERNETES_VERSION"
		write_kubernetes_module "$KUBERNETES_VERSION" "$dir" >&2
		touch "$dir/done"
	fi
	echo "$dir"
}

# A binary is renamed into place only when it is whole: an interrupted build would otherwise leave a file that the next
# run takes for finished.
build_binary() { # NAME MODULE_DIR
	local name=$1 module=$2 package=k8s.io/kubernetes/cmd/$1
	[[ $name != etcd ]] || package=go.etcd.io/etcd/server/v3
	local version=${KUBERNETES_VERSION#v} minor=${KUBERNETES_VERSION#v*.} key=k8s.io/component-base/version
	# Without major and minor, `kubectl version` and Helm read an empty server version.
	local flags="-s -w -X $key.gitVersion=v$version -X $key.gitMajor=${version%%.*} -X $key.gitMinor=${minor%%.*}"
	say "  $name"
	(cd "$module" && GOWORK=off CGO_ENABLED=0 nice -n 5 \
		go build -mod=readonly -trimpath -ldflags "$flags" -o "$BIN/.$name.$$" "$package") >&2
	mv "$BIN/.$name.$$" "$BIN/$name"
}

ensure_binaries() { # BINARY...
	local missing module name
	[[ -n $(missing_binaries "$@") ]] || return 0
	command -v go >/dev/null || die "Go is needed to build Kubernetes: https://go.dev/dl/"
	mkdir -p "$BIN"
	exec 9>"$CACHE/$KUBERNETES_VERSION/$ARCH/lock"
	if ! flock -n 9; then
		say "waiting for another process that is building Kubernetes $KUBERNETES_VERSION"
		flock 9
	fi
	mapfile -t missing < <(missing_binaries "$@")
	if ((${#missing[@]})); then
		# Whatever a killed build left; nobody else builds while we hold the lock.
		rm -f "$BIN"/.*.[0-9]*
		say "building Kubernetes $KUBERNETES_VERSION from source," \
			"about $(minutes_to_build "${missing[@]}") minutes, only this once"
		module=$(module_dir)
		for name in "${missing[@]}"; do
			build_binary "$name" "$module"
		done
		say "built into $BIN"
	fi
	# Daemons started later would inherit the descriptor and hold the lock for as long as they live.
	exec 9>&-
}
