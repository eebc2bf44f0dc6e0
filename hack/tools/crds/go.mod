// The CRDs of others, of which the chart can bring objects and config/samples has some: test/chart and test/api give them to a
// real API server. Nothing of these modules is compiled.
module github.com/wsproxy/wsproxy/hack/tools/crds

go 1.26.8

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
