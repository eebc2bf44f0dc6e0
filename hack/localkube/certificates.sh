# shellcheck shell=bash
# Certificates and kubeconfigs of one instance. They live as long as the cluster, ten years at most.

PKI=$STATE/pki

certificate_authority() { # NAME
	openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$1" \
		-addext 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature' \
		-keyout "$PKI/$1.key" -out "$PKI/$1.crt" 2>/dev/null
}

# P-256 keys are made in milliseconds, RSA keys in up to a second, and a cluster needs a dozen.
certificate() { # CA NAME SUBJECT [SUBJECT_ALT_NAMES]
	local ca=$1 name=$2 subject=$3 sans=${4:-} extensions='extendedKeyUsage=clientAuth,serverAuth'
	[[ -z $sans ]] || extensions+=$'\n'"subjectAltName=$sans"
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" \
		-keyout "$PKI/$name.key" -out "$PKI/$name.csr" 2>/dev/null
	openssl x509 -req -in "$PKI/$name.csr" -CA "$PKI/$ca.crt" -CAkey "$PKI/$ca.key" -days 3650 \
		-set_serial "0x$(openssl rand -hex 8)" -extfile <(echo "$extensions") -out "$PKI/$name.crt" 2>/dev/null
	rm "$PKI/$name.csr"
}

# Certificates are embedded, so that a kubeconfig can be copied elsewhere.
kubeconfig_of() { # NAME > FILE
	cat <<YAML
apiVersion: v1
kind: Config
current-context: $CLUSTER_NAME
contexts: [{name: $CLUSTER_NAME, context: {cluster: $CLUSTER_NAME, user: $1}}]
clusters:
- name: $CLUSTER_NAME
  cluster:
    server: $API_SERVER
    certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$PKI/$1.crt")
    client-key-data: $(base64 -w0 "$PKI/$1.key")
YAML
}

make_control_plane_certificates() {
	install -d -m 700 "$PKI"
	certificate_authority ca
	# A CA of its own: whoever holds a certificate of the front proxy's CA may claim to be any user.
	certificate_authority front-proxy-ca
	certificate front-proxy-ca front-proxy-client /CN=front-proxy-client
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$PKI/service-account.key" 2>/dev/null
	certificate ca kube-apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,\
DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$(node_address 1),IP:$API_CLUSTER_IP"
	certificate ca kube-apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
	certificate ca admin /O=system:masters/CN=admin
	local name
	certificate ca kube-controller-manager /CN=system:kube-controller-manager
	certificate ca kube-scheduler /CN=system:kube-scheduler
	certificate ca kube-proxy /CN=system:kube-proxy
	for name in kube-controller-manager kube-scheduler kube-proxy; do
		kubeconfig_of "$name" >"$PKI/$name.kubeconfig"
	done
	(umask 077 && kubeconfig_of admin >"$STATE/kubeconfig")
}

# The name in a kubelet's certificate is what the Node authorizer goes by: it may read only what its own pods use.
make_node_certificate() { # NODE
	local name
	name=$(node_name "$1")
	certificate ca "kubelet-$1" "/O=system:nodes/CN=system:node:$name" "DNS:$name,IP:$(node_address "$1")"
	kubeconfig_of "kubelet-$1" >"$PKI/kubelet-$1.kubeconfig"
}
