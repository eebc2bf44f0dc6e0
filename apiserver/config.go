// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/util/compatibility"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/connections"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
	"github.com/wsproxy/wsproxy/apiserver/openapi"
	"github.com/wsproxy/wsproxy/apiserver/throttle"
)

// Config is what a Server is made of.
type Config struct {
	// Generic is how requests come in, from NewGenericConfig.
	Generic *genericapiserver.Config
	// Fleet is which pods are asked, and how.
	Fleet fleet.Options
	// Changes is how many requests each user may make that change something, dry
	// runs among them.
	Changes throttle.Options
	// Sends is how many messages each user may send.
	Sends throttle.Options
	// PerUser is how many reads, how many changes, how many messages and how many watches
	// of each user are served at a time; of lists without a limit it is a tenth. Default
	// MaxPerUser.
	PerUser int
	// ListMemory is how many bytes lists, and watches that begin with what there is, may
	// hold together until they are written; one user may have half. Default
	// DefaultListMemory.
	ListMemory int64

	scheme *runtime.Scheme
	codecs serializer.CodecFactory
}

// DefaultListMemory is enough for two lists of some 75,000 connections.
const DefaultListMemory = 512 << 20

// NewConfig returns a Config whose Generic part describes the types of the group.
// What is missing is how to serve, to authenticate and to authorize.
//
// version is what the server says it is.
func NewConfig(version string) (*Config, error) {
	scheme, err := NewScheme()
	if err != nil {
		return nil, err
	}
	c := &Config{PerUser: MaxPerUser, ListMemory: DefaultListMemory, scheme: scheme, codecs: serializer.NewCodecFactory(scheme)}
	c.Generic = genericapiserver.NewConfig(c.codecs)
	// Without these two, completing panics and installing fails.
	c.Generic.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	namer := openapinamer.NewDefinitionNamer(scheme)
	c.Generic.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	c.Generic.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	c.Generic.MaxMutatingRequestsInFlight = MaxChanges
	c.Generic.LongRunningFunc = asksNoPod(c.Generic.LongRunningFunc)
	c.Generic.OpenAPIConfig.Info.Title, c.Generic.OpenAPIConfig.Info.Version = "wsproxy", version
	c.Generic.OpenAPIV3Config.Info.Title, c.Generic.OpenAPIV3Config.Info.Version = "wsproxy", version
	return c, nil
}

// Complete makes the server. Nothing runs yet.
func (c *Config) Complete() (*Server, error) {
	registry := prometheus.NewRegistry()
	var pods *fleet.Fleet
	metrics := NewMetrics(registry, func() (int, int) { return pods.Count() }, c.Generic.OpenAPIConfig.Info.Version)
	c.Fleet.GRPC = append(c.Fleet.GRPC, grpc.WithStatsHandler(metrics.calls))
	pods, err := fleet.New(c.Fleet)
	if err != nil {
		return nil, err
	}
	c.Generic.AddReadyzChecks(healthz.NamedCheck("pods-known", func(*http.Request) error { return pods.Fresh() }))
	changes := throttle.New(c.Changes)
	turnedBack := metrics.turnedBack
	memory := connections.NewMemory(c.ListMemory, turnedBack.WithLabelValues(limitMemory).Inc)
	c.Generic.BuildHandlerChainFunc = throttled(throttles{changes: changes, sends: throttle.New(c.Sends), memory: memory, turnedBack: turnedBack}, c.PerUser)
	c.Generic.AuditPolicyRuleEvaluator = discreet(c.Generic.AuditPolicyRuleEvaluator)
	generic, err := c.Generic.Complete(nil).New("wsproxy-apiserver", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, err
	}
	group := genericapiserver.NewDefaultAPIGroupInfo(connectionsv1alpha1.Group, c.scheme, runtime.NewParameterCodec(c.scheme), c.codecs)
	// There is one version and no internal one to convert to and from.
	group.NegotiatedSerializer = c.codecs.WithoutConversion()
	group.VersionedResourcesStorageMap[connectionsv1alpha1.GroupVersion.Version] = connections.Resources(pods, changes, metrics.connections)
	if err := generic.InstallAPIGroup(&group); err != nil {
		return nil, err
	}
	page := metricsPage(registry)
	if c.Generic.EnableMetrics {
		serveMetrics(generic, page)
	}
	return &Server{Generic: generic, Fleet: pods, Metrics: page}, nil
}
