// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/dataplane/certs/certstest"
)

const (
	system      = "wsproxy-system"
	serviceName = "wsproxy-apiserver"
)

// cluster is a kube-apiserver with the program behind it, registered by the
// manifests of config/apiserver.
type cluster struct {
	*testing.T
	assets, dir string
	kubeconfig  string
	config      *rest.Config
	kube        *kubernetes.Clientset
	authority   *certstest.Authority
	// address is where the program serves by itself.
	address string
	// end ends the program.
	end func() error
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{T: t, assets: os.Getenv("KUBEBUILDER_ASSETS"), dir: t.TempDir(), authority: certstest.New(t)}
	if c.assets == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: it must name a directory with etcd, kube-apiserver and kubectl; " +
			"run: KUBEBUILDER_ASSETS=$(hack/cluster assets) go test ./test/apiserver/...")
	}
	environment := &envtest.Environment{
		BinaryAssetsDirectory:    c.assets,
		ControlPlaneStartTimeout: 2 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	c.aggregate(environment)
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	config.QPS, config.Burst = 1000, 1000
	c.config, c.kubeconfig = config, c.file("kubeconfig", environment.KubeConfig)
	if c.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	c.install()
	return c
}

// aggregate makes the kube-apiserver one that passes requests on and says of whom
// they are.
func (c *cluster) aggregate(environment *envtest.Environment) {
	front := certstest.New(c.T)
	ca := c.file("front-ca.crt", front.PEM())
	cert, key := front.Issue(c.T, "front-proxy")
	arguments := environment.ControlPlane.GetAPIServer().Configure()
	for name, value := range map[string]string{
		"requestheader-client-ca-file":       ca,
		"requestheader-username-headers":     "X-Remote-User",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"proxy-client-cert-file":             c.file("front.crt", cert),
		"proxy-client-key-file":              c.file("front.key", key),
	} {
		arguments.Set(name, value)
	}
}

func (c *cluster) file(name string, content []byte) string {
	c.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		c.Fatal(err)
	}
	return path
}

// install does what kustomize and operator do, but for the Service: it leads to
// this machine.
func (c *cluster) install() {
	c.Helper()
	c.kubectl("create", "namespace", system)
	c.kubectl("apply", "-k", filepath.Join("..", "..", "config", "apiserver"))
	c.kubectl("delete", "service", "-n", system, serviceName)
	c.kubectl("create", "service", "externalname", "-n", system, serviceName, "--external-name=localhost")
	port := freePort(c.T)
	c.address = net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"caBundle": c.authority.PEM(), "service": map[string]any{"port": port}}})
	if err != nil {
		c.Fatal(err)
	}
	c.kubectl("patch", "apiservice", "v1alpha1.connections.wsproxy.io", "--type=merge", "-p", string(patch))
	c.start(port)
	c.kubectl("wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1.connections.wsproxy.io")
}

// start runs the program as its ServiceAccount.
func (c *cluster) start(port int) {
	c.Helper()
	program := filepath.Join(c.dir, "apiserver")
	if out, err := exec.CommandContext(c.Context(), "go", "build", "-o", program, "../../cmd/apiserver").CombinedOutput(); err != nil {
		c.Fatalf("build: %v\n%s", err, out)
	}
	writeClient(c.T, c.authority, c.dir)
	c.authority.Write(c.T, filepath.Join(c.dir, "tls.crt"), filepath.Join(c.dir, "tls.key"), serviceName+"."+system+".svc")
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, program,
		"--kubeconfig="+c.file("apiserver.kubeconfig", c.kubeconfigOf(serviceName, system)),
		"--client-dir="+c.dir, "--tls-cert-file="+filepath.Join(c.dir, "tls.crt"), "--tls-private-key-file="+filepath.Join(c.dir, "tls.key"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--metrics-address=0", "--pod-timeout=2s", "--changes-per-second=500", "--changes-burst=2000",
	)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	begin := time.Now()
	if err := command.Start(); err != nil {
		c.Fatal(err)
	}
	c.end = sync.OnceValue(func() error {
		cancel()
		return command.Wait()
	})
	c.Cleanup(func() {
		if err := c.end(); err != nil && !errors.Is(err, context.Canceled) {
			c.Errorf("the program ended: %v", err)
		}
		if c.Failed() {
			c.Log(log.String())
		}
	})
	for deadline := begin.Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if code, _ := c.direct("/readyz", ""); code == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			c.Fatal("the program is not ready")
		}
	}
	c.Logf("ready after %v", time.Since(begin))
}

// direct asks the program itself, with a token or without.
func (c *cluster) direct(path, token string) (code int, body string) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: c.authority.Pool(), ServerName: serviceName + "." + system + ".svc", MinVersion: tls.VersionTLS13},
	}}
	request, err := http.NewRequestWithContext(c.Context(), http.MethodGet, "https://"+c.address+path, nil)
	if err != nil {
		c.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, text.String()
}

// served is the serial number of the certificate that the program shows.
func (c *cluster) served() string {
	c.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: c.authority.Pool(), ServerName: serviceName + "." + system + ".svc", MinVersion: tls.VersionTLS13}}
	conn, err := dialer.DialContext(c.Context(), "tcp", c.address)
	if err != nil {
		c.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// token is one of a ServiceAccount, for the audiences.
func (c *cluster) token(name, namespace string, audiences ...string) string {
	c.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	answer, err := c.kube.CoreV1().ServiceAccounts(namespace).CreateToken(c.Context(), name, request, metav1.CreateOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return answer.Status.Token
}

func (c *cluster) kubeconfigOf(name, namespace string) []byte {
	c.Helper()
	raw, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"it": {Server: c.config.Host, CertificateAuthorityData: c.config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"it": {Token: c.token(name, namespace)}},
		Contexts:       map[string]*clientcmdapi.Context{"it": {Cluster: "it", AuthInfo: "it"}},
		CurrentContext: "it",
	})
	if err != nil {
		c.Fatal(err)
	}
	return raw
}

// kubectl runs it as an administrator and returns what it prints on both
// streams.
func (c *cluster) kubectl(arguments ...string) string {
	c.Helper()
	out, err := c.try("", arguments...)
	if err != nil {
		c.Fatalf("kubectl %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return out
}

func (c *cluster) try(input string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := c.command(ctx, arguments...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	return string(out), err
}

func (c *cluster) command(ctx context.Context, arguments ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(c.assets, "kubectl"), append([]string{"--kubeconfig=" + c.kubeconfig, "--cache-dir=" + filepath.Join(c.dir, "cache")}, arguments...)...)
}

// output is what a program that runs has said so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// follow runs kubectl until the test ends.
func (c *cluster) follow(t *testing.T, arguments ...string) *output {
	t.Helper()
	said := &output{}
	command := c.command(t.Context(), arguments...)
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Wait() }) // It was killed when the test's context ended.
	return said
}

// pod makes a Pod object of this name whose control port is answered.
func (c *cluster) pod(namespace, proxy, name string, silent bool) *pod {
	c.Helper()
	p := newPod(namespace, proxy, name, "")
	pods := c.kube.CoreV1().Pods(namespace)
	object := p.object()
	made, err := pods.Create(c.Context(), object, metav1.CreateOptions{})
	if err != nil {
		c.Fatal(err)
	}
	ip := p.ip
	p = newPod(namespace, proxy, name, made.UID)
	p.ip = ip
	if silent {
		p.hang(c.T, c.authority, dataplanev1alpha1.PortControl)
	} else {
		p.serve(c.T, c.authority, dataplanev1alpha1.PortControl)
	}
	made.Status = p.status()
	if _, err := pods.UpdateStatus(c.Context(), made, metav1.UpdateOptions{}); err != nil {
		c.Fatal(err)
	}
	return p
}
