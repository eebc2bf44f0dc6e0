// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/wsproxy/wsproxy/controllers/defaultclass"
)

const everything = "testdata/everything.yaml"

func TestLint(t *testing.T) {
	for _, values := range append(modes(t), everything) {
		helm(t, "lint", "--strict", chartDir, "--values", values)
	}
}

func TestTheSameValuesRenderTheSame(t *testing.T) {
	for _, values := range append(modes(t), everything) {
		first := template(t, "--values", values)
		for range 2 {
			if again := template(t, "--values", values); again != first {
				t.Errorf("%v: rendered twice, and not the same", values)
			}
		}
	}
}

// A template that asks the cluster, the clock or dice says something else under
// Argo CD than under Helm, or at every sync.
func TestTemplatesAskNobody(t *testing.T) {
	forbidden := regexp.MustCompile(`\b(lookup|now|date\w*|rand\w+|uuidv4|gen\w+|derivePassword|htpasswd|bcrypt|getHostByName|IsInstall|IsUpgrade|Revision|APIVersions)\b`)
	actions := regexp.MustCompile(`(?s)\{\{-?\s*(/\*.*?\*/|.*?)\s*-?\}\}`)
	err := walk(chartDir+"/templates", func(path, content string) {
		for _, action := range actions.FindAllString(content, -1) {
			if word := forbidden.FindString(action); word != "" && !strings.Contains(action, "/*") {
				t.Errorf("%s: %s in %s", path, word, action)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheSchemaRefuses(t *testing.T) {
	for set, where := range map[string]string{
		"operater.replicas=2":                               "operater",
		"operator.replica=2":                                "replica",
		"operator.replicas=0":                               "/operator/replicas",
		"operator.replicas=two":                             "/operator/replicas",
		"operator.maxConcurrentProxies=0":                   "/operator/maxConcurrentProxies",
		"operator.image.tag=v1":                             "tag",
		"operator.image.repository=":                        "/operator/image/repository",
		"operator.resources.request.cpu=1":                  "request",
		"operator.extraArgs={debug}":                        "/operator/extraArgs/0",
		"image.pullPolicy=Sometimes":                        "/image/pullPolicy",
		"image.tag=a b":                                     "/image/tag",
		"image.registry=registry.example/":                  "/image/registry",
		"crds.enable=true":                                  "enable",
		"crds.keep=maybe":                                   "/crds/keep",
		"apiserver.enabled=yes please":                      "/apiserver/enabled",
		"defaultClass.settings.conectTimeout=5":             "conectTimeout",
		"defaultClass.settings.connectTimeout=0":            "/defaultClass/settings/connectTimeout",
		"defaultClass.settings.autoReconnect=1":             "/defaultClass/settings/autoReconnect",
		"defaultClass.limits.maxMessageBytes=9999999999999": "/defaultClass/limits/maxMessageBytes",
		"defaultClass.drain.timeoutSeconds=3601":            "/defaultClass/drain/timeoutSeconds",
		"defaultClass.podTemplate.image=x":                  "image",
		"podLabels.app\\.kubernetes\\.io/name=x":            "app.kubernetes.io/name",
		"tolerations[0].operator=exists":                    "/tolerations/0/operator",
		"operator.serviceAccount.annotation.a=b":            "annotation",
		"operator.extraEnv[0].nam=A":                        "nam",
		"apiServer.enabled=false":                           "apiServer",
		"apiService.enable=false":                           "enable",
		"watchNamespaces={a,B}":                             "/watchNamespaces/1",
		"watchNamespaces={a,a}":                             "/watchNamespaces",
		"imagePullSecrets={registry}":                       "/imagePullSecrets/0",
		"commonLabels.app\\.kubernetes\\.io/name=x":         "app.kubernetes.io/name",
		"affinity.podAfinity.a=b":                           "podAfinity",
		"topologySpreadConstraints[0].maxSkew=1":            "topologyKey",
		"certs.mode=certmanager":                            "/certs/mode",
		"certs.certManager.issuerRef.kind=ClusterIssuer":    "name",
		"certs.mode=existingSecret":                         "/certs/existingSecret/name",
		"certs.certManager.issuer.name=x":                   "issuer",
		"certs.certManager.duration=1y":                     "/certs/certManager/duration",
		"networkPolicies.enabled=false":                     "networkPolicies",
		"networkPolicy.metricsFrom[0].namespace=x":          "namespace",
		"networkPolicy.kubeAPIServer.port=6443":             "port",
		"networkPolicy.kubeAPIServer.cidrs={10.0.0.1}":      "/networkPolicy/kubeAPIServer/cidrs/0",
		"networkPolicy.extraEgress[0].from=x":               "from",
		"monitoring.servicemonitor.enabled=true":            "servicemonitor",
		"monitoring.podMonitor.interval=15":                 "/monitoring/podMonitor/interval",
		"monitoring.prometheusRule.interval=15s":            "interval",
		"tracing.endpoint=http://collector:4317":            "/tracing/endpoint",
		"tracing.samplingRatio=2":                           "/tracing/samplingRatio",
		"tracing.samplingRatio=1.5":                         "/tracing/samplingRatio",
	} {
		_, err := command(t.Context(), "", tools.helm, "template", release, chartDir, "--set", set)
		if err == nil || !strings.Contains(err.Error(), "values don't meet the specifications of the schema") || !strings.Contains(err.Error(), where) {
			t.Errorf("%s: got %v, want %q refused", set, err, where)
		}
	}
}

// What the chart's schema says of the settings is what the CRD says.
func TestTheSchemaKnowsTheRangesOfTheCRD(t *testing.T) {
	crd := parse(t, template(t)).get(t, "CustomResourceDefinition", "websocketproxyclasses.wsproxy.io")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	of, _, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties")
	if err != nil {
		t.Fatal(err)
	}
	ours := properties(t, schema(t), "defaultClass")
	for _, field := range []string{"settings", "limits", "drain", "podTemplate", "allowedOverrides"} {
		want := properties(t, of, field)
		got := properties(t, ours, field)
		if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
			t.Errorf("defaultClass.%s has %q, want %q", field, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
		for name, p := range want {
			want := p.(map[string]any)
			least, most := limits(t, want)
			for key, w := range map[string]any{"type": want["type"], "minimum": least, "maximum": most} {
				if g := got[name].(map[string]any)[key]; differences("", w, number(g)) != nil {
					t.Errorf("defaultClass.%s.%s: %s is %v, want %v", field, name, key, g, w)
				}
			}
		}
	}
}

// What is legal is taken as it is meant, however it is said.
func TestValuesThatAreRareAreTaken(t *testing.T) {
	argument := func(set, want string) {
		t.Helper()
		if args := parse(t, template(t, "--set", set)).container(t, "wsproxy-operator")["args"].([]any); !slices.Contains(args, any(want)) {
			t.Errorf("%s: the operator is given %q", set, args)
		}
	}
	argument("operator.maxConcurrentProxies=1000000", "--max-concurrent-proxies=1000000")
	argument("tracing.endpoint=collector:4317,tracing.samplingRatio=0.1", "--tracing-sampling-ratio=0.1")
	// null takes a value away.
	argument("watchNamespaces=null,commonLabels=null", "--max-concurrent-proxies=5")
	// The condition of a dependency on this chart.
	argument("enabled=true", "--max-concurrent-proxies=5")

	all := parse(t, templateWithTests(t, "--set-string", "watchNamespaces={123,on},priorityClassName=1"))
	for _, kind := range []string{"RoleBinding 123/wsproxy-operator-proxies", "RoleBinding on/wsproxy-apiserver", "Role 123/wsproxy-check"} {
		if all[kind] == nil {
			t.Errorf("there is no %s", kind)
		}
	}
	if out := policiesOf(t, all); len(out) != 2 {
		t.Errorf("%d policies", len(out))
	}
}

// The schema and values.yaml know the same values. What is said about them is looked
// after by hack/chartvalues.
func TestTheSchemaKnowsTheSameValues(t *testing.T) {
	raw, err := os.ReadFile(chartDir + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(raw, &values); err != nil {
		t.Fatal(err)
	}
	s := readSchema(t)
	known := s["properties"].(map[string]any)
	delete(known, "global")
	delete(known, "enabled")
	compare(t, s, "", known, values)
}

// compare fails where a part of the schema and a part of the values have other names.
// What is handed to Kubernetes, or is empty, is not looked into.
func compare(t *testing.T, whole map[string]any, path string, known, values map[string]any) {
	t.Helper()
	if want, got := slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(values)); !slices.Equal(want, got) {
		t.Errorf("values.yaml has %q in %q, the schema %q", got, path, want)
	}
	for name, value := range values {
		inner, ok := value.(map[string]any)
		p, found := known[name].(map[string]any)
		if !ok || !found || len(inner) == 0 {
			continue
		}
		p = resolve(t, whole, p)
		// A container may have limits, which ours have not.
		if properties, ok := p["properties"].(map[string]any); ok && name != "resources" {
			compare(t, whole, path+name+".", properties, inner)
		}
	}
}

// An object that takes any name takes every misspelt one, too.
func TestTheSchemaLetsNoNameThroughThatItDoesNotKnow(t *testing.T) {
	// What only the API server knows all of.
	open := []string{
		"/properties/affinity/properties/", "/properties/defaultClass/properties/podTemplate/properties/",
		"/definitions/env/items/properties/valueFrom/properties/", "/properties/global",
	}
	var walk func(path string, node any)
	walk = func(path string, node any) {
		switch node := node.(type) {
		case []any:
			for i, inner := range node {
				walk(fmt.Sprintf("%s/%d", path, i), inner)
			}
		case map[string]any:
			if node["type"] == "object" && node["additionalProperties"] == nil && !slices.ContainsFunc(open, func(p string) bool { return strings.HasPrefix(path, p) }) {
				t.Errorf("%s: any name is allowed", path)
			}
			for name, inner := range node {
				walk(path+"/"+name, inner)
			}
		}
	}
	walk("", readSchema(t))
}

func TestImagesAreTakenFromTheValues(t *testing.T) {
	for name, c := range map[string]struct{ set, operator, apiserver, dataplane string }{
		"as they come": {"", "localhost/wsproxy/operator:dev", "localhost/wsproxy/apiserver:dev", "localhost/wsproxy/dataplane:dev"},
		"a mirror and a tag": {"image.registry=mirror.example:5000/x,image.tag=v2",
			"mirror.example:5000/x/wsproxy/operator:v2", "mirror.example:5000/x/wsproxy/apiserver:v2", "mirror.example:5000/x/wsproxy/dataplane:v2"},
		"no registry": {"image.registry=", "wsproxy/operator:dev", "wsproxy/apiserver:dev", "wsproxy/dataplane:dev"},
		"repositories": {"operator.image.repository=a,apiserver.image.repository=b,dataplane.image.repository=c/d",
			"localhost/a:dev", "localhost/b:dev", "localhost/c/d:dev"},
	} {
		t.Run(name, func(t *testing.T) {
			o := parse(t, template(t, "--set", "image.pullPolicy=Always", "--set", c.set))
			for deployment, want := range map[string]string{"wsproxy-operator": c.operator, "wsproxy-apiserver": c.apiserver} {
				got := o.container(t, deployment)
				if got["image"] != want || got["imagePullPolicy"] != "Always" {
					t.Errorf("%s has image %v, pull policy %v, want %s", deployment, got["image"], got["imagePullPolicy"], want)
				}
			}
			if !slices.Contains(arguments(t, o), "--dataplane-image="+c.dataplane) {
				t.Errorf("operator has %q, want image %s", arguments(t, o), c.dataplane)
			}
		})
	}
}

func TestTheOperatorUnderstandsItsDefaultClass(t *testing.T) {
	for name, c := range map[string]struct {
		values []string
		want   string
	}{
		"nothing set": {nil, `{}`},
		"a zero and a false are values": {[]string{"--set", "defaultClass.settings.maxRetries=0,defaultClass.settings.autoReconnect=false"},
			`{"settings":{"autoReconnect":false,"maxRetries":0}}`},
		"a large number": {[]string{"--set", "defaultClass.limits.maxMessageBytes=1099511627776"}, `{"limits":{"maxMessageBytes":1099511627776}}`},
		"quotes":         {[]string{"--set-string", `defaultClass.podTemplate.annotations.a=it's "so" <b>`}, `{"podTemplate":{"annotations":{"a":"it's \"so\" \u003cb\u003e"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			text := classArgument(t, parse(t, template(t, c.values...)))
			if text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
			if _, err := defaultclass.Parse(text); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := defaultclass.Parse(classArgument(t, parse(t, template(t, "--values", everything)))); err != nil {
		t.Error(err)
	}
	for _, a := range arguments(t, parse(t, template(t, "--set", "defaultClass.create=false"))) {
		if strings.HasPrefix(a, "--default-class") {
			t.Errorf("defaultClass.create=false, and yet %s", a)
		}
	}
}

func TestPodsAreLabelledAndPlacedByTheValues(t *testing.T) {
	o := parse(t, template(t, "--values", everything))
	for deployment, replicas := range map[string]int64{"wsproxy-operator": 3, "wsproxy-apiserver": 4} {
		d := o.get(t, "Deployment", deployment).Object
		pod, _, err := unstructured.NestedMap(d, "spec", "template")
		if err != nil {
			t.Fatal(err)
		}
		selector, _, _ := unstructured.NestedMap(d, "spec", "selector", "matchLabels")
		for path, want := range map[string]any{
			"metadata.labels.team":                        "platform",
			"metadata.labels.app.kubernetes.io/component": selector["app.kubernetes.io/component"],
			"metadata.annotations.example.com/scrape":     "true",
			"spec.nodeSelector.kubernetes.io/os":          "linux",
			"spec.priorityClassName":                      "system-node-critical",
		} {
			parts := strings.SplitN(path, ".", 3)
			if got, _, _ := unstructured.NestedFieldNoCopy(pod, parts...); got != want {
				t.Errorf("%s: %s is %v, want %v", deployment, path, got, want)
			}
		}
		tolerations, _, _ := unstructured.NestedSlice(pod, "spec", "tolerations")
		if got, _, _ := unstructured.NestedInt64(d, "spec", "replicas"); got != replicas || len(tolerations) != 1 {
			t.Errorf("%s has %d replicas and tolerations %v", deployment, got, tolerations)
		}
		limits, _, _ := unstructured.NestedMap(o.container(t, deployment), "resources", "limits")
		if len(limits) != 1 {
			t.Errorf("%s has limits %v", deployment, limits)
		}
	}
}

// A constraint counts the pods of its component, or those that it says itself.
func TestPodsAreSpreadByTheValues(t *testing.T) {
	const own = `{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway","labelSelector":{"matchLabels":{"a":"b"}}}`
	const plain = `{"maxSkew":1,"topologyKey":"rack","whenUnsatisfiable":"ScheduleAnyway"}`
	all := parse(t, template(t, "--set-json", "topologySpreadConstraints=["+own+","+plain+"]"))
	for _, name := range []string{"operator", "apiserver"} {
		list, _, err := unstructured.NestedSlice(all.get(t, "Deployment", "wsproxy-"+name).Object, "spec", "template", "spec", "topologySpreadConstraints")
		if err != nil || len(list) != 2 {
			t.Fatalf("%s has %v: %v", name, list, err)
		}
		for i, want := range []map[string]string{{"a": "b"}, component(name)} {
			got, _, _ := unstructured.NestedStringMap(list[i].(map[string]any), "labelSelector", "matchLabels")
			if !maps.Equal(got, want) {
				t.Errorf("%s is spread among %v, want %v", name, got, want)
			}
		}
	}
}

// schema returns the properties of values.schema.json.
func schema(t *testing.T) map[string]any {
	t.Helper()
	return readSchema(t)["properties"].(map[string]any)
}

func readSchema(t *testing.T) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(chartDir + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// resolve returns the definition that a part of the schema refers to, if it does.
func resolve(t *testing.T, whole, part map[string]any) map[string]any {
	t.Helper()
	reference, ok := part["$ref"].(string)
	if !ok {
		return part
	}
	found, ok := whole["definitions"].(map[string]any)[strings.TrimPrefix(reference, "#/definitions/")].(map[string]any)
	if !ok {
		t.Fatalf("the schema has no %s", reference)
	}
	return found
}

func properties(t *testing.T, of map[string]any, field string) map[string]any {
	t.Helper()
	p, found, err := unstructured.NestedMap(of, field, "properties")
	if err != nil || !found {
		t.Fatalf("no properties of %s: %v", field, err)
	}
	return p
}

// limits are what the first rule of a field allows, nil where that is no range.
func limits(t *testing.T, schema map[string]any) (least, most any) {
	t.Helper()
	if schema["type"] != "integer" {
		return nil, nil
	}
	rules := schema["x-kubernetes-validations"].([]any)
	var from, to float64
	if _, err := fmt.Sscanf(rules[0].(map[string]any)["rule"].(string), "self >= %g && self <= %g", &from, &to); err != nil {
		t.Fatal(err)
	}
	return from, to
}

// number makes numbers of YAML and JSON comparable.
func number(v any) any {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v
}

// arguments of the operator.
func arguments(t *testing.T, o objects) []string {
	t.Helper()
	list, _, err := unstructured.NestedStringSlice(o.container(t, "wsproxy-operator"), "args")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func classArgument(t *testing.T, o objects) string {
	t.Helper()
	for _, a := range arguments(t, o) {
		if text, found := strings.CutPrefix(a, "--default-class="); found {
			return text
		}
	}
	t.Fatalf("no class among %q", arguments(t, o))
	return ""
}
