// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/cmd/tracing"
	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/apiservice"
	"github.com/wsproxy/wsproxy/controllers/certificates"
	"github.com/wsproxy/wsproxy/controllers/defaultclass"
)

// flags are what the operator is told on its command line.
type flags struct {
	namespace string
	// watched are the namespaces whose proxies are served; empty: all.
	watched        []string
	image          string
	metricsAddress string
	healthAddress  string
	leaderElect    bool
	version        bool
	certificates   certificates.Policy
	authority      string
	policies       bool
	defaultClass   defaultclass.Spec
	maxConcurrent  int
	tracing        tracing.Options
	log            zap.Options
}

// parse reads the command line. Errors: flag.ErrHelp, a flag that is unknown or
// malformed, and one that is missing.
func parse(arguments []string) (flags, error) {
	f := flags{certificates: certificates.DefaultPolicy()}
	set := flag.NewFlagSet("operator", flag.ContinueOnError)
	set.StringVar(&f.namespace, "namespace", os.Getenv(dataplanev1alpha1.EnvPodNamespace),
		"namespace of the operator, where it keeps its certificate authority and its lease (default: environment variable "+dataplanev1alpha1.EnvPodNamespace+")")
	set.Func("watch-namespaces", "namespaces whose proxies are served, separated by commas; empty: those of all namespaces. Apart from its own, it needs no rights in others",
		func(text string) (err error) {
			f.watched, err = namespaces(text)
			return err
		})
	set.StringVar(&f.image, "dataplane-image", "",
		"image of the data-plane pods of classes that name none (required)")
	set.StringVar(&f.metricsAddress, "metrics-address", ":8080", "address that serves /metrics over plain HTTP; 0 switches it off")
	set.StringVar(&f.healthAddress, "health-address", ":8081", "address that serves /healthz and /readyz over plain HTTP; 0 switches it off")
	set.BoolVar(&f.leaderElect, "leader-elect", true, "let one of several operators work at a time")
	set.BoolVar(&f.version, "version", false, "print the version and exit")
	set.Func("default-class", "JSON of the spec of the WebSocketProxyClass \"default\", which is kept as it says; absent: that class is the users' to make",
		func(text string) (err error) {
			f.defaultClass, err = defaultclass.Parse(text)
			return err
		})
	set.IntVar(&f.maxConcurrent, "max-concurrent-proxies", controllers.DefaultMaxConcurrentProxies,
		"of how many proxies at a time the pods are replaced where a class, or this operator, brings another image or another podTemplate")
	set.BoolVar(&f.policies, "network-policies", true,
		"give each proxy a NetworkPolicy: its clients, metrics and probes may come from anywhere, and only operator and aggregated API server reach the control port; off: none, and those that were made are removed")
	set.StringVar(&f.authority, "authority-secret", "",
		"name of a Secret of type kubernetes.io/tls, in the operator's namespace, with the certificate and key of an authority that somebody else keeps; empty: the operator makes and replaces its own")
	set.DurationVar(&f.certificates.CAValidity, "ca-validity", f.certificates.CAValidity,
		"life of the certificate authority, which is replaced after two thirds of it")
	set.DurationVar(&f.certificates.LeafValidity, "certificate-validity", f.certificates.LeafValidity,
		"life of the certificates of operator, aggregated API server and pods, which are replaced after two thirds of it")
	set.DurationVar(&f.certificates.Overlap, "ca-overlap", f.certificates.Overlap,
		"how long a new certificate authority is trusted before it is used, from when every Secret has it; longer than kubelets take to update a mounted Secret")
	set.StringVar(&f.tracing.Endpoint, tracing.FlagEndpoint, "", tracing.UsageEndpoint+"; of the data planes, too, whose pods are replaced when it changes")
	set.Float64Var(&f.tracing.Ratio, tracing.FlagRatio, tracing.DefaultRatio, tracing.UsageRatio)
	f.log.BindFlags(set)
	config.RegisterFlags(set)
	if err := set.Parse(arguments); err != nil {
		return flags{}, err
	}
	if f.version {
		return f, nil
	}
	return f, f.check(set.Args())
}

func (f *flags) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case f.image == "":
		return errors.New("--dataplane-image is required")
	case f.namespace == "":
		return errors.New("--namespace is required where " + dataplanev1alpha1.EnvPodNamespace + " is not set")
	case f.maxConcurrent < 1:
		return errors.New("--max-concurrent-proxies must be at least 1")
	case f.certificates.LeafValidity <= 0 || f.certificates.Overlap < 0:
		return errors.New("--certificate-validity must be positive, --ca-overlap not negative")
	case f.authority == controllers.AuthoritySecret || f.authority == apiservice.SecretName:
		return fmt.Errorf("--authority-secret: the Secret %q is the operator's own to write", f.authority)
	case f.certificates.CAValidity < 6*f.certificates.Overlap+3*f.certificates.Skew:
		// Into the last third of the life must fit the overlap, and as long again
		// for the new certificates to take the place of the old.
		return errors.New("--ca-validity must be at least six times --ca-overlap and a quarter of an hour")
	}
	return f.tracing.Check()
}

// dataplaneArgs are what the data planes are told of that: nothing where nothing is
// traced.
func (f *flags) dataplaneArgs() []string {
	if f.tracing.Endpoint == "" {
		return nil
	}
	return []string{
		"--" + tracing.FlagEndpoint + "=" + f.tracing.Endpoint,
		"--" + tracing.FlagRatio + "=" + strconv.FormatFloat(f.tracing.Ratio, 'g', -1, 64),
	}
}

// namespaces reads a list of namespaces. An empty name among others would mean all.
func namespaces(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	names := strings.Split(text, ",")
	for i, name := range names {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return nil, fmt.Errorf("%q is no name of a namespace: %s", name, strings.Join(problems, "; "))
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("%q is there twice", name)
		}
	}
	return names, nil
}
