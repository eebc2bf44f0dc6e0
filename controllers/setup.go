// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
	"github.com/wsproxy/wsproxy/controllers/apply"
	"github.com/wsproxy/wsproxy/controllers/certificates"
	"github.com/wsproxy/wsproxy/controllers/class"
	"github.com/wsproxy/wsproxy/controllers/defaultclass"
	"github.com/wsproxy/wsproxy/controllers/namespaces"
	"github.com/wsproxy/wsproxy/controllers/objects"
	"github.com/wsproxy/wsproxy/controllers/proxy"
	"github.com/wsproxy/wsproxy/controllers/push"
	"github.com/wsproxy/wsproxy/controllers/references"
	"github.com/wsproxy/wsproxy/controllers/rollout"
)

// AuthoritySecret is the name of the Secret, in the operator's namespace, that
// holds the certificate authority.
const AuthoritySecret = "wsproxy-ca" // #nosec G101 -- a name, not a credential.

// DefaultMaxConcurrentProxies is few enough that an image that does not start, or
// clients that all come back at once, concern a few proxies only.
const DefaultMaxConcurrentProxies = 5

// Options of the operator; each is required but for what says otherwise.
type Options struct {
	// Namespace of the operator.
	Namespace string
	// Watched are the namespaces whose proxies are served, and the manager's cache
	// holds. Default: all.
	Watched []string
	// Image of the data plane where the class names none.
	Image string
	// Certificates says how long they live.
	Certificates certificates.Policy
	// AuthoritySecret is the name of a Secret of the operator's namespace with an
	// authority that somebody else keeps. Default: the operator keeps one itself.
	AuthoritySecret string
	// NetworkPolicies says whether each proxy has one. Default: none has.
	NetworkPolicies bool
	// DefaultClass is the class that comes with the installation. nil: none.
	DefaultClass defaultclass.Spec
	// MaxConcurrentProxies is of how many proxies the pods are replaced at a time
	// where it is not their own spec that changed. Default
	// DefaultMaxConcurrentProxies.
	MaxConcurrentProxies int
	// Registerer of the metrics.
	Registerer prometheus.Registerer
	// Version of the program, for the metrics. Default none.
	Version string
	// ControlAddress returns where a pod that has an IP is reached, host:port.
	// Default: its IP and the control port.
	ControlAddress func(*corev1.Pod) string
	// GRPC are more options of the connections to pods. Default none.
	GRPC []grpc.DialOption
	// DataplaneArgs are more arguments of the data-plane container. A change of them
	// replaces the pods. Default none.
	DataplaneArgs []string
	// Now is the clock of the certificates. Default time.Now.
	Now func() time.Time
}

// Scheme returns the types that the operator reads and writes.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("scheme: %w", err)
	}
	if err := wsproxyv1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("scheme: %w", err)
	}
	return scheme, nil
}

// Setup adds the operator to a manager, whose cache has the CacheOptions of the
// same namespace. ctx bounds the setup only. The authority is returned for others
// who need certificates of it.
func Setup(ctx context.Context, m manager.Manager, options Options) (*certificates.Authority, error) {
	if options.ControlAddress == nil {
		options.ControlAddress = controlAddress
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.MaxConcurrentProxies == 0 {
		options.MaxConcurrentProxies = DefaultMaxConcurrentProxies
	}
	metrics := NewMetrics(options.Registerer, m.GetClient(), m.GetAPIReader(), options.Namespace, options.Version)
	authority := certificates.New(certificates.Options{
		Expiries: metrics.Expiries,
		Client:   m.GetClient(),
		Live:     m.GetAPIReader(),
		Secret:   types.NamespacedName{Namespace: options.Namespace, Name: AuthoritySecret},
		Follow:   options.AuthoritySecret,
		Warn: func(reason, message string) {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: options.Namespace, Name: options.AuthoritySecret}}
			m.GetEventRecorder("wsproxy-operator").Eventf(secret, nil, corev1.EventTypeWarning, reason, "Reconcile", "%s", message)
		},
		Labels:     objects.AuthorityLabels(),
		FieldOwner: objects.FieldOwner,
		ClientName: dataplanev1alpha1.ClientOperator,
		Policy:     options.Certificates,
		Now:        options.Now,
	})
	if err := m.AddReadyzCheck("authority", func(*http.Request) error { return authority.Problem() }); err != nil {
		return nil, fmt.Errorf("add check of the certificate authority: %w", err)
	}
	signals := &proxy.Signals{}
	pusher := push.New(push.Options{
		ClientTLS: authority.ClientTLS,
		Changed:   signals.Proxy,
		Metrics:   metrics.Pushes,
		GRPC:      options.GRPC,
	})
	reconciler := &proxy.Reconciler{
		Client:         m.GetClient(),
		Live:           m.GetAPIReader(),
		Applier:        apply.New(m.GetClient(), m.GetAPIReader(), objects.FieldOwner),
		Authority:      authority,
		Pusher:         pusher,
		Secrets:        references.NewReader(m.GetClient(), m.GetAPIReader()),
		Recorder:       m.GetEventRecorder("wsproxy-operator"),
		Image:          options.Image,
		Watched:        options.Watched,
		Args:           options.DataplaneArgs,
		Rollouts:       rollout.New(options.MaxConcurrentProxies),
		Look:           signals.Proxy,
		ControlAddress: options.ControlAddress,
		Now:            time.Now,
	}
	if options.NetworkPolicies {
		reconciler.CalledFrom = options.Namespace
	}
	authority.OnChange(func(ctx context.Context) {
		for _, name := range reconciler.All(ctx) {
			signals.Proxy(name)
		}
	})
	authority.Await(reconciler.Trusts)
	if err := m.Add(pusher); err != nil {
		return nil, fmt.Errorf("add pusher: %w", err)
	}
	if err := authority.SetupWithManager(m); err != nil {
		return nil, fmt.Errorf("add certificate authority: %w", err)
	}
	if err := reconciler.SetupWithManager(ctx, m, signals); err != nil {
		return nil, fmt.Errorf("add WebSocketProxy controller: %w", err)
	}
	counting := &class.Reconciler{Client: m.GetClient()}
	if err := counting.SetupWithManager(m); err != nil {
		return nil, fmt.Errorf("add WebSocketProxyClass controller: %w", err)
	}
	departing := &namespaces.Reconciler{Client: m.GetClient(), Live: m.GetAPIReader(), Now: time.Now}
	if err := departing.SetupWithManager(m); err != nil {
		return nil, fmt.Errorf("add Namespace controller: %w", err)
	}
	if err := apiserver(m, authority, metrics.Expiries, options); err != nil {
		return nil, err
	}
	if err := m.Add(&lease{client: m.GetClient(), live: m.GetAPIReader(), namespace: options.Namespace, logger: m.GetLogger()}); err != nil {
		return nil, fmt.Errorf("add owner of the Lease: %w", err)
	}
	if options.DefaultClass != nil {
		keeping := &defaultclass.Reconciler{Client: m.GetClient(), Spec: options.DefaultClass}
		if err := keeping.SetupWithManager(m); err != nil {
			return nil, fmt.Errorf("add default class: %w", err)
		}
	}
	return authority, nil
}

// apiserver adds what the aggregated API server needs of the operator.
func apiserver(m manager.Manager, authority *certificates.Authority, expiries *certificates.Expiries, options Options) error {
	secret := &apiservice.Certificates{
		Client:     m.GetClient(),
		Live:       m.GetAPIReader(),
		Authority:  authority,
		Namespace:  options.Namespace,
		Labels:     objects.APIServerLabels(),
		FieldOwner: objects.FieldOwner,
		Now:        options.Now,
		Expiries:   expiries,
	}
	if err := secret.SetupWithManager(m); err != nil {
		return fmt.Errorf("add certificates of the aggregated API server: %w", err)
	}
	bundle := &apiservice.Bundle{
		Client:    m.GetClient(),
		Live:      m.GetAPIReader(),
		Authority: authority,
		Namespace: options.Namespace,
	}
	if err := bundle.SetupWithManager(m); err != nil {
		return fmt.Errorf("add caBundle of the APIService: %w", err)
	}
	trust := &apiservice.Trust{
		Client:     m.GetClient(),
		Live:       m.GetAPIReader(),
		Authority:  authority,
		Namespaces: options.Watched,
		Labels:     objects.APIServerLabels(),
		FieldOwner: objects.FieldOwner,
	}
	if err := trust.SetupWithManager(m); err != nil {
		return fmt.Errorf("add ConfigMaps of the aggregated API server: %w", err)
	}
	removal := &apiservice.Removal{Client: m.GetClient(), Live: m.GetAPIReader(), Namespace: options.Namespace}
	if err := removal.SetupWithManager(m); err != nil {
		return fmt.Errorf("add removal of the APIService: %w", err)
	}
	return nil
}

func controlAddress(pod *corev1.Pod) string {
	return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(dataplanev1alpha1.PortControl))
}
