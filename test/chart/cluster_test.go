// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// ours are the kinds of which a release has objects.
const ours = "crd,apiservice,flowschema,clusterrole,clusterrolebinding,role,rolebinding,serviceaccount,service,deployment,poddisruptionbudget,networkpolicy,validatingadmissionpolicy,validatingadmissionpolicybinding"

// clean removes what a test leaves.
func clean(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		for _, c := range [][]string{
			{tools.helm, "uninstall", release, "--namespace", namespace, "--ignore-not-found"},
			{tools.kubectl, "delete", ours, "--all-namespaces", "--selector=app.kubernetes.io/name=wsproxy", "--ignore-not-found"},
			{tools.kubectl, "delete", "crd", "--all"},
		} {
			if _, err := command(context.Background(), "", c[0], c[1:]...); err != nil {
				t.Error(err)
			}
		}
	})
}

// versions lists the objects of the release with their resourceVersions.
func versions(t *testing.T) []string {
	t.Helper()
	return versionsOf(t, ours)
}

// versionsOf is that of other kinds.
func versionsOf(t *testing.T, kinds string) []string {
	t.Helper()
	out := kubectl(t, "get", kinds, "--all-namespaces", "--no-headers",
		"--output=custom-columns=:.kind,:.metadata.name,:.metadata.resourceVersion")
	lines := slices.DeleteFunc(strings.Split(out, "\n"), func(l string) bool {
		// The API server makes an APIService for each group of CRDs.
		return !strings.Contains(l, "wsproxy") || strings.Contains(l, "v1alpha1.wsproxy.io")
	})
	for i, l := range lines {
		lines[i] = strings.Join(strings.Fields(l), " ")
	}
	return lines
}

// kept is what is left of a release by kind and name.
func kept(t *testing.T) []string {
	t.Helper()
	var left []string
	for _, v := range versions(t) {
		left = append(left, v[:strings.LastIndex(v, " ")])
	}
	slices.Sort(left)
	return left
}

// settle waits until the API server has written what it writes by itself into the
// status of the release's objects.
func settle(t *testing.T) {
	t.Helper()
	kubectl(t, "wait", "crd/websocketproxies.wsproxy.io", "crd/websocketproxyclasses.wsproxy.io", "--for=condition=Established", "--timeout=60s")
	// There is nobody behind it here.
	kubectl(t, "wait", "apiservice/v1alpha1.connections.wsproxy.io", "--for=condition=Available=False", "--timeout=60s")
	// Priority and fairness says that there is the level that it names.
	kubectl(t, "wait", "flowschema/wsproxy-apiserver", "--for=condition=Dangling=False", "--timeout=2m")
}

func install(t *testing.T, arguments ...string) {
	t.Helper()
	helm(t, append([]string{"install", release, chartDir, "--namespace", namespace, "--create-namespace"}, arguments...)...)
}

const proxy = `
apiVersion: wsproxy.io/v1alpha1
kind: WebSocketProxy
metadata: {name: echo, namespace: default}
spec: {upstream: {url: "ws://echo.example"}}
`

func TestInstallUpgradeUninstallKeepsTheCRDs(t *testing.T) {
	clean(t)
	install(t)
	settle(t)
	kubectlWith(t, proxy, "apply", "--filename=-")
	before := versions(t)
	if len(before) < 8 {
		t.Fatalf("only %q after the installation", before)
	}

	helm(t, "upgrade", release, chartDir, "--namespace", namespace)
	if after := versions(t); !slices.Equal(before, after) {
		t.Errorf("an upgrade to the same wrote: %q became %q", before, after)
	}
	helm(t, "upgrade", release, chartDir, "--namespace", namespace, "--set", "defaultClass.settings.maxRetries=7")
	args := kubectl(t, "get", "deployment", "wsproxy-operator", "--namespace", namespace, "--output=jsonpath={.spec.template.spec.containers[0].args}")
	if !strings.Contains(args, `maxRetries\":7`) {
		t.Errorf("after the upgrade the operator has %s", args)
	}

	crds := []string{"CustomResourceDefinition websocketproxies.wsproxy.io", "CustomResourceDefinition websocketproxyclasses.wsproxy.io"}
	helm(t, "uninstall", release, "--namespace", namespace)
	if left := kept(t); !slices.Equal(left, crds) {
		t.Errorf("left are %q, want %q", left, crds)
	}
	kubectl(t, "get", "wsp", "echo", "--namespace=default")
	// And again, onto the CRDs that were kept.
	install(t)
	kubectl(t, "get", "wsp", "echo", "--namespace=default")
}

func TestUninstallWithoutKeepLeavesNothing(t *testing.T) {
	clean(t)
	install(t, "--set", "crds.keep=false")
	settle(t)
	kubectlWith(t, proxy, "apply", "--filename=-")
	helm(t, "uninstall", release, "--namespace", namespace, "--wait")
	kubectl(t, "wait", "--for=delete", "crd/websocketproxies.wsproxy.io", "crd/websocketproxyclasses.wsproxy.io", "--timeout=60s")
	if left := kept(t); len(left) != 0 {
		t.Errorf("left are %q", left)
	}
}

// Argo CD and others render the chart and apply it themselves, in one go.
func TestTemplateAndApply(t *testing.T) {
	clean(t)
	if out, err := command(t.Context(), "", tools.kubectl, "create", "namespace", namespace); err != nil && !strings.Contains(err.Error(), "already exists") {
		t.Fatal(err, out)
	}
	apply := func() {
		t.Helper()
		kubectlWith(t, template(t), "apply", "--server-side", "--filename=-")
	}
	apply()
	settle(t)
	before := versions(t)
	apply()
	if after := versions(t); !slices.Equal(before, after) {
		t.Errorf("a second apply of the same wrote: %q became %q", before, after)
	}
	// Client-side apply keeps what it applied in an annotation, which has a limit.
	kubectlWith(t, template(t), "apply", "--filename=-")
}

func TestPartsCanBeLeftOut(t *testing.T) {
	for set, word := range map[string]string{"crds.enabled=false": "CustomResourceDefinition", "apiserver.enabled=false": "wsproxy-apiserver", "admissionWarnings.enabled=false": "ValidatingAdmissionPolicy", "networkPolicy.enabled=false": "kind: NetworkPolicy", "apiService.enabled=false": "kind: APIService"} {
		if manifests := template(t, "--set", set); strings.Contains(manifests, word) {
			t.Errorf("%s, and yet there is %s", set, word)
		}
	}
}

// The operator keeps spec.caBundle; a chart that rendered it would take it back.
func TestTheCABundleIsLeftToTheOperator(t *testing.T) {
	clean(t)
	install(t)
	const bundle = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K"
	kubectl(t, "patch", "apiservice", "v1alpha1.connections.wsproxy.io", "--type=merge", "--patch", `{"spec":{"caBundle":"`+bundle+`"}}`)
	for _, change := range []func(){
		func() {
			helm(t, "upgrade", release, chartDir, "--namespace", namespace, "--set", "podLabels.team=a")
		},
		func() { kubectlWith(t, template(t), "apply", "--server-side", "--force-conflicts", "--filename=-") },
		func() { kubectlWith(t, template(t), "apply", "--filename=-") },
	} {
		change()
		got := kubectl(t, "get", "apiservice", "v1alpha1.connections.wsproxy.io", "--output=jsonpath={.spec.caBundle} {.spec.insecureSkipTLSVerify}")
		if strings.TrimSpace(got) != bundle {
			t.Errorf("spec.caBundle became %q", got)
		}
	}
}
