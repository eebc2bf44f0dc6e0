// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/compatibility"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"

	"github.com/wsproxy/wsproxy/apiserver"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/apiserver/throttle"
	"github.com/wsproxy/wsproxy/cmd/tracing"
	"github.com/wsproxy/wsproxy/cmd/version"
)

// mountedSecret is where the Secret of the operator is mounted: the certificate
// to serve with, the one to show to pods, and the bundle to verify them with.
const mountedSecret = "/etc/wsproxy/tls" // #nosec G101 -- a path, not a credential.

// The requests per second to the kube-apiserver that the server keeps to, and how
// many it may send at once. Looks at the pods as they are now are all that there is
// apart from watches. To look at the pods of some namespaces takes a request for each,
// so for each there are perNamespace more.
const (
	requestsPerSecond = 50
	requestsBurst     = 100
	perNamespace      = 2
)

// besideLists is what the server takes at most beside lists, garbage included: an idle one
// takes a fifth, and watches whose readers are slow the rest.
const besideLists = 512 << 20

// leastListMemory is enough for the pages of informers and kubectl, each of which asks
// for 500 connections, and of many pods at once where most have few. A page that was
// refused would be asked for again and again.
const leastListMemory = 64 << 20

// options are what the server is told on its command line. Those of
// k8s.io/apiserver are the set that a server without etcd and admission needs.
type options struct {
	generic        *genericoptions.ServerRunOptions
	serving        *genericoptions.SecureServingOptionsWithLoopback
	authentication *genericoptions.DelegatingAuthenticationOptions
	authorization  *genericoptions.DelegatingAuthorizationOptions
	audit          *genericoptions.AuditOptions
	features       *genericoptions.FeatureOptions
	logging        *logsapi.LoggingConfiguration

	kubeconfig string
	namespaces []string
	clientDir  string
	// metricsAddress is where metrics are served to everybody; 0: nowhere.
	metricsAddress string
	podTimeout     time.Duration
	changes        throttle.Options
	sends          throttle.Options
	listMemory     resource.QuantityValue
	tracing        tracing.Options
	version        bool
}

func newOptions() *options {
	o := &options{
		generic:        genericoptions.NewServerRunOptionsForComponent("wsproxy-apiserver", compatibility.NewComponentGlobalsRegistry()),
		serving:        genericoptions.NewSecureServingOptions().WithLoopback(),
		authentication: genericoptions.NewDelegatingAuthenticationOptions(),
		authorization:  genericoptions.NewDelegatingAuthorizationOptions().WithAlwaysAllowPaths(apiserver.HealthPaths...),
		audit:          genericoptions.NewAuditOptions(),
		features:       genericoptions.NewFeatureOptions(),
		logging:        logs.NewOptions(),
		clientDir:      mountedSecret,
		podTimeout:     3 * time.Second,
		changes:        throttle.Options{PerSecond: 50, Burst: 100},
		sends:          throttle.Options{PerSecond: 200, Burst: 400},
		listMemory:     resource.QuantityValue{Quantity: *resource.NewQuantity(apiserver.DefaultListMemory, resource.BinarySI)},
	}
	o.generic.MaxMutatingRequestsInFlight = apiserver.MaxChanges
	// Without it, a server that ends waits for those who watch until a request may last no
	// longer, which is a minute. They go on at another replica.
	o.generic.ShutdownWatchTerminationGracePeriod = 2 * time.Second
	o.serving.BindPort = 8443
	o.serving.ServerCert.CertKey.CertFile = filepath.Join(mountedSecret, "tls.crt")
	o.serving.ServerCert.CertKey.KeyFile = filepath.Join(mountedSecret, "tls.key")
	o.features.EnableProfiling = false
	// It hangs on informers of objects that a cluster may lack.
	o.features.EnablePriorityAndFairness = false
	return o
}

// parse reads the command line. Errors: pflag.ErrHelp, a flag that is unknown or
// malformed, and values that make no sense.
func parse(arguments []string, usage io.Writer) (*options, error) {
	o := newOptions()
	flags := pflag.NewFlagSet("apiserver", pflag.ContinueOnError)
	flags.SetOutput(usage)
	flags.SortFlags = false
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "file that says how to reach the kube-apiserver; empty: as a pod of the cluster")
	flags.StringSliceVar(&o.namespaces, "watch-namespaces", nil, "namespaces whose connections are served, separated by commas; empty: those of all namespaces. It needs no rights in others")
	flags.StringVar(&o.clientDir, "client-dir", o.clientDir, fmt.Sprintf("directory with %s and %s to show to data-plane pods, and with %s to verify them", fleet.FileClientCert, fleet.FileClientKey, fleet.FileCA))
	flags.StringVar(&o.metricsAddress, "metrics-address", ":8080", "address that serves /metrics over plain HTTP; 0 switches it off")
	flags.DurationVar(&o.podTimeout, "pod-timeout", o.podTimeout, "how long a data-plane pod may take to answer")
	flags.Float64Var(&o.changes.PerSecond, "changes-per-second", o.changes.PerSecond, "changes that each user may make per second, dry runs included; 100 connections that are ended together count as one")
	flags.IntVar(&o.changes.Burst, "changes-burst", o.changes.Burst, "changes that each user may make at once")
	flags.Float64Var(&o.sends.PerSecond, "sends-per-second", o.sends.PerSecond, "messages that each user may send to clients per second, dry runs included")
	flags.IntVar(&o.sends.Burst, "sends-burst", o.sends.Burst, "messages that each user may send at once")
	flags.Var(&o.listMemory, "list-memory", "memory that lists, and watches that begin with what there is, may hold together, one user half of it; the server needs up to 512Mi beside it")
	flags.StringVar(&o.tracing.Endpoint, tracing.FlagEndpoint, "", tracing.UsageEndpoint)
	flags.Float64Var(&o.tracing.Ratio, tracing.FlagRatio, tracing.DefaultRatio, tracing.UsageRatio)
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	o.generic.AddUniversalFlags(flags)
	o.serving.AddFlags(flags)
	o.authentication.AddFlags(flags)
	o.authorization.AddFlags(flags)
	o.audit.AddFlags(flags)
	o.features.AddFlags(flags)
	logsapi.AddFlags(o.logging, flags)
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if o.version {
		return o, nil
	}
	return o, o.check(flags.Args())
}

func (o *options) check(rest []string) error {
	var problems []error
	if len(rest) > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", rest[0]))
	}
	problems = append(problems, checkNamespaces(o.namespaces))
	if o.podTimeout <= 0 {
		problems = append(problems, errors.New("--pod-timeout must be positive"))
	}
	if o.changes.PerSecond <= 0 || o.changes.Burst < 1 {
		problems = append(problems, errors.New("--changes-per-second must be positive, --changes-burst at least 1"))
	}
	if o.sends.PerSecond <= 0 || o.sends.Burst < 1 {
		problems = append(problems, errors.New("--sends-per-second must be positive, --sends-burst at least 1"))
	}
	if o.listMemory.Value() < leastListMemory {
		problems = append(problems, errors.New("--list-memory must be at least 64Mi"))
	}
	if o.features.EnablePriorityAndFairness {
		problems = append(problems, errors.New("--enable-priority-and-fairness is not supported"))
	}
	if err := o.tracing.Check(); err != nil {
		problems = append(problems, err)
	}
	for _, more := range [][]error{
		o.generic.Validate(), o.serving.Validate(), o.authentication.Validate(), o.authorization.Validate(), o.audit.Validate(), o.features.Validate(),
	} {
		problems = append(problems, more...)
	}
	return utilerrors.NewAggregate(problems)
}

// checkNamespaces complains of what is no list of namespaces: with a name that is empty,
// all of them would be meant.
func checkNamespaces(names []string) error {
	for i, name := range names {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return fmt.Errorf("--watch-namespaces: %q is no name of a namespace: %s", name, strings.Join(problems, "; "))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("--watch-namespaces: %q is there twice", name)
		}
	}
	return nil
}

// complete fills in what follows from other flags.
func (o *options) complete() error {
	if o.authentication.RemoteKubeConfigFile == "" {
		o.authentication.RemoteKubeConfigFile = o.kubeconfig
	}
	if o.authorization.RemoteKubeConfigFile == "" {
		o.authorization.RemoteKubeConfigFile = o.kubeconfig
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		// Garbage would else be as much as what is held.
		debug.SetMemoryLimit(o.listMemory.Value() + besideLists)
	}
	return o.generic.ComponentGlobalsRegistry.Set()
}

// config makes of the flags what the server is made of. It asks the
// kube-apiserver whom to believe.
func (o *options) config() (*apiserver.Config, error) {
	c, err := apiserver.NewConfig(version.Number())
	if err != nil {
		return nil, err
	}
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	g := c.Generic
	for _, apply := range []func() error{
		func() error {
			// It puts nothing in the place of the version, because this component
			// emulates none.
			is := g.EffectiveVersion
			err := o.generic.ApplyTo(g)
			g.EffectiveVersion = is
			return err
		},
		func() error { return o.serving.ApplyToConfig(g) },
		func() error { return o.authentication.ApplyTo(&g.Authentication, g.SecureServing, g.OpenAPIConfig) },
		func() error { return o.authorization.ApplyTo(&g.Authorization) },
		func() error { return o.audit.ApplyTo(g) },
		func() error { return o.features.ApplyTo(g, nil, nil) },
	} {
		if err := apply(); err != nil {
			return nil, err
		}
	}
	g.Authentication.APIAudiences = authenticator.Audiences{apiserver.Audience}
	g.Authentication.Authenticator = apiserver.Named(g.Authentication.Authenticator)
	g.Authorization.Authorizer = apiserver.AllNames(g.Authorization.Authorizer)
	c.Fleet = fleet.Options{Pods: client.CoreV1(), Namespaces: o.namespaces, ClientDir: o.clientDir, Timeout: o.podTimeout, Logger: klog.Background()}
	c.Changes, c.Sends, c.ListMemory = o.changes, o.sends, o.listMemory.Value()
	return c, nil
}

func (o *options) client() (*kubernetes.Clientset, error) {
	config, err := o.restConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	more := perNamespace * len(o.namespaces)
	config.QPS, config.Burst, config.UserAgent = float32(requestsPerSecond+more), requestsBurst+more, "wsproxy-apiserver/"+version.Number()
	return kubernetes.NewForConfig(config)
}

func (o *options) restConfig() (*rest.Config, error) {
	if o.kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: o.kubeconfig}, &clientcmd.ConfigOverrides{}).ClientConfig()
}
