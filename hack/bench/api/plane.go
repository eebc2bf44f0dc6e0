// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/hack/bench/proc"
)

const (
	system  = "wsproxy-system"
	service = "wsproxy-apiserver"
	// caller is the ServiceAccount that asks the apiserver itself.
	callerAccount = "caller"
	// audience is what its token is for.
	audience = "connections.wsproxy.io"
)

// plane is etcd and a kube-apiserver with the apiserver behind it, registered by the
// manifests of config/apiserver.
type plane struct {
	options
	dir         string
	ca          *authority
	environment *envtest.Environment
	kubeconfig  string
	config      *rest.Config
	kube        *kubernetes.Clientset
	// address is where the apiserver serves by itself.
	address string
	server  *proc.Group
}

// newPlane starts all of it. It is to be stopped also after an error.
func newPlane(ctx context.Context, o options, dir string) (*plane, error) {
	p := &plane{options: o, dir: dir, environment: &envtest.Environment{
		BinaryAssetsDirectory: o.assets, ControlPlaneStartTimeout: 2 * time.Minute, ControlPlaneStopTimeout: time.Minute,
	}}
	var err error
	if p.ca, err = newAuthority(); err != nil {
		return p, err
	}
	if err := p.aggregate(); err != nil {
		return p, err
	}
	config, err := p.environment.Start()
	if err != nil {
		return p, fmt.Errorf("start etcd and kube-apiserver: %w", err)
	}
	config.QPS, config.Burst = 1000, 1000
	p.config, p.kubeconfig = config, filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(p.kubeconfig, p.environment.KubeConfig, 0o600); err != nil {
		return p, err
	}
	if p.kube, err = kubernetes.NewForConfig(config); err != nil {
		return p, err
	}
	if err := p.install(ctx); err != nil {
		return p, err
	}
	return p, p.start(ctx)
}

// stop ends everything.
func (p *plane) stop() {
	if p.server != nil {
		p.server.Stop()
	}
	if err := p.environment.Stop(); err != nil {
		say("%v", err)
	}
}

// aggregate makes the kube-apiserver one that passes requests on and says of whom
// they are.
func (p *plane) aggregate() error {
	front, err := newAuthority()
	if err != nil {
		return err
	}
	if err := front.write(p.dir, "front.crt", "front.key", "front-ca.crt", "front-proxy"); err != nil {
		return err
	}
	arguments := p.environment.ControlPlane.GetAPIServer().Configure()
	for name, value := range map[string]string{
		"requestheader-client-ca-file":       filepath.Join(p.dir, "front-ca.crt"),
		"requestheader-username-headers":     "X-Remote-User",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"proxy-client-cert-file":             filepath.Join(p.dir, "front.crt"),
		"proxy-client-key-file":              filepath.Join(p.dir, "front.key"),
	} {
		arguments.Set(name, value)
	}
	return nil
}

// install does what kustomize and operator do, but for the Service: it leads to this
// machine.
func (p *plane) install(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return err
	}
	p.address = fmt.Sprintf("127.0.0.1:%d", port)
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"caBundle": p.ca.pem(), "service": map[string]any{"port": port}}})
	if err != nil {
		return err
	}
	for _, command := range [][]string{
		{"create", "namespace", system},
		{"create", "namespace", namespace},
		{"apply", "-k", "config/apiserver"},
		{"delete", "service", "-n", system, service},
		{"create", "service", "externalname", "-n", system, service, "--external-name=localhost"},
		{"patch", "apiservice", "v1alpha1.connections.wsproxy.io", "--type=merge", "-p", string(patch)},
		{"create", "serviceaccount", "-n", namespace, callerAccount},
		{"create", "clusterrolebinding", callerAccount, "--clusterrole=wsproxy-connections-operator", "--serviceaccount=" + namespace + ":" + callerAccount},
	} {
		if err := p.kubectl(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

// start runs the apiserver as its ServiceAccount and waits until it is reached through
// the kube-apiserver.
func (p *plane) start(ctx context.Context) error {
	if err := p.ca.write(p.dir, fleet.FileClientCert, fleet.FileClientKey, fleet.FileCA, dataplanev1alpha1.ClientAPIServer); err != nil {
		return err
	}
	if err := p.ca.write(p.dir, "tls.crt", "tls.key", fleet.FileCA, service+"."+system+".svc"); err != nil {
		return err
	}
	kubeconfig, err := p.kubeconfigOf(ctx, service, system)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(p.address)
	if err != nil {
		return err
	}
	arguments := []string{
		p.apiserver, "--kubeconfig=" + kubeconfig, "--client-dir=" + p.dir,
		"--tls-cert-file=" + filepath.Join(p.dir, "tls.crt"), "--tls-private-key-file=" + filepath.Join(p.dir, "tls.key"),
		"--bind-address=" + host, "--secure-port=" + port,
		// One user does here what many do elsewhere.
		"--changes-per-second=10000", "--changes-burst=100000",
	}
	if p.listMemory != "" {
		arguments = append(arguments, "--list-memory="+p.listMemory)
	}
	p.server, err = proc.Start(ctx, proc.Command{Log: filepath.Join(p.dir, "apiserver.log"), Args: arguments})
	if err != nil {
		return err
	}
	if err := p.server.Refresh(); err != nil {
		return err
	}
	return p.kubectl(ctx, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1.connections.wsproxy.io")
}

// token is one of a ServiceAccount.
func (p *plane) token(ctx context.Context, name, namespace string, audiences ...string) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	answer, err := p.kube.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return answer.Status.Token, nil
}

// kubeconfigOf writes a file with which a program is a ServiceAccount.
func (p *plane) kubeconfigOf(ctx context.Context, name, namespace string) (path string, err error) {
	token, err := p.token(ctx, name, namespace)
	if err != nil {
		return "", err
	}
	path = filepath.Join(p.dir, name+".kubeconfig")
	return path, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"it": {Server: p.config.Host, CertificateAuthorityData: p.config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"it": {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{"it": {Cluster: "it", AuthInfo: "it"}},
		CurrentContext: "it",
	}, path)
}

// kubectl runs it as an administrator.
func (p *plane) kubectl(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, filepath.Join(p.assets, "kubectl"), // #nosec G204 -- all of them are ours.
		append([]string{"--kubeconfig=" + p.kubeconfig, "--cache-dir=" + filepath.Join(p.dir, "cache")}, arguments...)...)
	if out, err := command.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("kubectl %s: %w: %s", strings.Join(arguments, " "), err, out), p.ended())
	}
	return nil
}

// ended says why the apiserver has ended, if it has.
func (p *plane) ended() error {
	if p.server == nil {
		return nil
	}
	select {
	case <-p.server.Done():
		return p.server.Ended()
	default:
		return nil
	}
}
