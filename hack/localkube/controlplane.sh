# shellcheck shell=bash
# etcd, kube-apiserver, kube-controller-manager and kube-scheduler, all in the first node's network namespace.

# Discovery is cached per address, and all instances have the same one: with the usual cache folder one would be told the
# resources of another.
kubectl() {
	in_node 1 env KUBECACHEDIR="$STATE/kubectl-cache" "$BIN/kubectl" --kubeconfig "$STATE/kubeconfig" \
		--request-timeout=10s "$@"
}

# Without fsync etcd may lose its last writes when the machine stops. This cluster is thrown away then anyway, and on a
# busy disk an fsync takes up to a second, which lets leases expire and makes tests fail for no reason of theirs.
start_etcd() {
	start_daemon 1 etcd "$BIN/etcd" --name "$CLUSTER_NAME" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
		--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster "$CLUSTER_NAME=http://127.0.0.1:2380"
}

# The flags are kubeadm's: what a test sees here should be what a user's cluster does. The requestheader and
# proxy-client flags are what an aggregated API server lives by: it trusts a user name only from this front proxy.
start_apiserver() {
	start_daemon 1 kube-apiserver "$BIN/kube-apiserver" \
		--advertise-address="$(node_address 1)" --secure-port=6443 --etcd-servers=http://127.0.0.1:2379 \
		--service-cluster-ip-range="$SERVICE_CIDR" --allow-privileged=true \
		--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --client-ca-file="$PKI/ca.crt" \
		--tls-cert-file="$PKI/kube-apiserver.crt" --tls-private-key-file="$PKI/kube-apiserver.key" \
		--service-account-issuer=https://kubernetes.default.svc.cluster.local \
		--service-account-key-file="$PKI/service-account.key" --service-account-signing-key-file="$PKI/service-account.key" \
		--kubelet-preferred-address-types=InternalIP --kubelet-certificate-authority="$PKI/ca.crt" \
		--kubelet-client-certificate="$PKI/kube-apiserver-kubelet-client.crt" \
		--kubelet-client-key="$PKI/kube-apiserver-kubelet-client.key" \
		--requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
		--requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
		--requestheader-extra-headers-prefix=X-Remote-Extra- \
		--proxy-client-cert-file="$PKI/front-proxy-client.crt" --proxy-client-key-file="$PKI/front-proxy-client.key"
}

# There is one of each, so an election would only add its waiting time to every start. Service-account credentials are
# what every distribution sets: without them all controllers act under one name, and RBAC mistakes go unseen. At the default 20
# requests a second their forty accounts would take five seconds of a start that takes five in all.
start_controllers() {
	local manager=$PKI/kube-controller-manager.kubeconfig scheduler=$PKI/kube-scheduler.kubeconfig
	start_daemon 1 kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig="$manager" \
		--authentication-kubeconfig="$manager" --authorization-kubeconfig="$manager" --leader-elect=false \
		--use-service-account-credentials=true --kube-api-qps=200 --kube-api-burst=400 \
		--root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/service-account.key" \
		--client-ca-file="$PKI/ca.crt" --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" \
		--cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key"
	start_daemon 1 kube-scheduler "$BIN/kube-scheduler" --kubeconfig="$scheduler" \
		--authentication-kubeconfig="$scheduler" --authorization-kubeconfig="$scheduler" --leader-elect=false
}

api_ready() { kubectl get --raw=/readyz; }

# A pod that is created before the controller-manager has made this ServiceAccount is refused.
default_service_account_exists() { kubectl --namespace default get serviceaccount default; }
