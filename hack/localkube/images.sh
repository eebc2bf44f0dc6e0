# shellcheck shell=bash
# Images: the pause image of the nodes, and what `load` brings in. No registry is ever asked.

PAUSE_IMAGE=localhost/wsproxy/pause:dev

# Built with modules off: it imports the standard library alone, and must build whatever state go.mod is in.
build_pause_archive() { # ARCHIVE
	(cd "$LOCALKUBE/pause" && GO111MODULE=off CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$STATE/pause" main.go) >&2
	"$LOCALKUBE/image-archive" "$PAUSE_IMAGE" "$STATE/pause" "$1"
}

# containerd tells its Kubernetes half of a new image by an event. A pod created before that arrives would find no
# image, try to pull it and back off, so we wait for the label by which that half marks what it knows.
images_known_on() { # NODE
	local unknown
	unknown=$(ctr_on "$1" images list | awk 'NR > 1 && !/io.cri-containerd.image=managed/ { print $1 }')
	[[ -z $unknown ]] || { echo "not yet known to the kubelet: $unknown" && return 1; }
}

load_on() { # NODE ARCHIVE...
	local node=$1 archive
	shift
	for archive in "$@"; do
		ctr_on "$node" images import "$archive" >/dev/null
	done
	wait_for 60 "the images on $(node_name "$node")" images_known_on "$node"
}

load_everywhere() { # NODES ARCHIVE...
	local nodes=$1 node jobs=() job
	shift
	for ((node = 1; node <= nodes; node++)); do
		load_on "$node" "$@" &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do
		wait "$job" || die "loading failed"
	done
}
