// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// config is the folder of what kustomize is given.
const config = "../../config"

// foreign installs the CRDs of Flux, Argo CD and cert-manager whose files match.
func foreign(t *testing.T, pattern string) {
	t.Helper()
	script := exec.CommandContext(t.Context(), "../../hack/gitops/crds")
	var said strings.Builder
	script.Stderr = &said
	dir, err := script.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs %s: %v", pattern, err)
	}
	for _, file := range files {
		kubectl(t, "apply", "--server-side", "--filename="+file)
		kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "--filename="+file)
	}
}

// GitOps tools apply the same again and again, by the client or by the server. (That
// config/default stays as it is under an operator, test/controllers shows. The third
// folder differs from it in what TestTheNamespacedInstallationHasNoRightsElsewhere sees.)
func TestAKustomizationDoesNotDrift(t *testing.T) {
	clean(t)
	foreign(t, "cert-manager.io_*")
	const kinds = ours + ",certificate.cert-manager.io,issuer.cert-manager.io"
	folder := filepath.Join(config, "certmanager")
	rendered := kubectl(t, "kustomize", folder)
	for key, o := range parse(t, rendered) {
		if labels := o.GetLabels(); o.GetKind() != "CustomResourceDefinition" && labels["app.kubernetes.io/name"] != "wsproxy" {
			t.Errorf("%s has the labels %v", key, labels)
		}
	}
	if again := kubectl(t, "kustomize", folder); again != rendered {
		t.Error("it is rendered in two ways")
	}
	for _, how := range [][]string{nil, {"--server-side", "--force-conflicts", "--validate=strict"}} {
		apply := append([]string{"apply", "--kustomize=" + folder}, how...)
		// What was applied in another way is taken over.
		kubectl(t, apply...)
		settle(t)
		before := versionsOf(t, kinds)
		kubectl(t, apply...)
		if after := versionsOf(t, kinds); !slices.Equal(before, after) {
			t.Errorf("applied with %q, the same again wrote: %q became %q", how, before, after)
		}
	}
}

// Where proxies are in some namespaces only, nothing is bound in all of them that is about
// what is in namespaces.
func TestTheNamespacedInstallationHasNoRightsElsewhere(t *testing.T) {
	rendered := parse(t, kubectl(t, "kustomize", filepath.Join(config, "namespaced")))
	var everywhere []string
	for _, o := range rendered {
		if o.GetKind() == "ClusterRoleBinding" {
			everywhere = append(everywhere, o.GetName())
		}
	}
	slices.Sort(everywhere)
	if want := []string{"wsproxy-apiserver-auth-delegator", "wsproxy-operator"}; !slices.Equal(everywhere, want) {
		t.Errorf("bound everywhere are %q", everywhere)
	}
	for _, deployment := range []string{"wsproxy-operator", "wsproxy-apiserver"} {
		if args := rendered.container(t, deployment)["args"].([]any); !slices.Contains(args, any("--watch-namespaces=default")) {
			t.Errorf("%s is given %q", deployment, args)
		}
	}
}

// The manifests that we give to users of Flux and Argo CD are what these take.
func TestFluxAndArgoCDTakeTheSamples(t *testing.T) {
	clean(t)
	foreign(t, "*toolkit.fluxcd.io_*")
	foreign(t, "app*-crd.yaml")
	for _, ns := range []string{namespace, "argocd"} {
		if _, err := command(t.Context(), "", tools.kubectl, "create", "namespace", ns); err != nil && !strings.Contains(err.Error(), "already exists") {
			t.Fatal(err)
		}
	}
	for _, sample := range []string{"flux.yaml", "argocd.yaml"} {
		kubectl(t, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename="+filepath.Join(config, "samples", "gitops", sample))
	}
	// And the configuration of Argo CD keeps what else it says.
	kubectl(t, "create", "configmap", "argocd-cm", "--namespace=argocd", "--from-literal=url=https://argocd.example")
	for _, patch := range []string{"health.yaml", "exclusions.yaml"} {
		kubectl(t, "patch", "configmap", "argocd-cm", "--namespace=argocd", "--patch-file="+filepath.Join(config, "argocd", patch))
	}
	for _, key := range []string{"url", `resource\.exclusions`, `resource\.customizations\.health\.wsproxy\.io_WebSocketProxy`} {
		if value := kubectl(t, "get", "configmap", "argocd-cm", "--namespace=argocd", "--output=jsonpath={.data."+key+"}"); value == "" {
			t.Errorf("argocd-cm has no %s", key)
		}
	}
}
