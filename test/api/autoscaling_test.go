// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/yaml"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

const autoscalingSamples = "../../config/samples/autoscaling"

// What autoscalers make of them is tried by hack/autoscaling/try.
func TestTheSamplesForAutoscalingAreAccepted(t *testing.T) {
	ns := namespace(t)
	if output, err := kubectlWith(t, "", "apply", "--server-side", "-f", scaledObjects(t)); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if output, err := kubectlWith(t, "", "wait", "--for=condition=Established", "--timeout=60s", "crd/scaledobjects.keda.sh"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, file := range []string{"proxy.yaml", "hpa-cpu.yaml", "hpa-connections.yaml", "keda.yaml"} {
		if output, err := kubectlWith(t, "", "apply", "-n", ns, "--validate=strict", "-f", filepath.Join(autoscalingSamples, file)); err != nil {
			t.Errorf("%s: %v\n%s", file, err, output)
		}
	}
	if output, err := kubectlWith(t, "", "get", "hpa", "echo", "-n", ns); err != nil || !strings.Contains(output, "WebSocketProxy/echo") {
		t.Errorf("%v\n%s", err, output)
	}
	for _, file := range []string{"hpa-cpu.yaml", "hpa-connections.yaml", "keda.yaml"} {
		raw, err := os.ReadFile(filepath.Join(autoscalingSamples, file))
		if err != nil {
			t.Fatal(err)
		}
		// That of a ScaledObject has the same fields.
		var o struct {
			Spec struct {
				ScaleTargetRef autoscalingv2.CrossVersionObjectReference `json:"scaleTargetRef"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		want := autoscalingv2.CrossVersionObjectReference{APIVersion: wsproxyv1alpha1.GroupVersion.String(), Kind: "WebSocketProxy", Name: "echo"}
		if o.Spec.ScaleTargetRef != want {
			t.Errorf("%s scales %+v, want %+v", file, o.Spec.ScaleTargetRef, want)
		}
	}
}

// scaledObjects is the file of the CRD of ScaledObjects, in KEDA's own module.
func scaledObjects(t *testing.T) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/kedacore/keda/v2")
	command.Dir = "../../hack/tools/crds"
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, output)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(output, &module); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(module.Dir, "config", "crd", "bases", "keda.sh_scaledobjects.yaml")
}

// Git does not know what an autoscaler has decided. docs/autoscaling.md says what this
// test shows, the last line of it included.
func TestApplyingAgainKeepsWhatAnAutoscalerDecided(t *testing.T) {
	for name, c := range map[string]struct {
		apply          []string
		before, expect string
	}{
		"applied by the server":               {[]string{"apply", "--server-side"}, "", "7"},
		"applied by the client":               {[]string{"apply"}, "", "7"},
		"given up, and applied by the server": {[]string{"apply", "--server-side"}, "replicas: 5", "7"},
		"given up, and applied by the client": {[]string{"apply"}, "replicas: 5", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t)
			must := func(stdin string, arguments ...string) string {
				t.Helper()
				output, err := kubectlWith(t, stdin, append(arguments, "-n", ns)...)
				if err != nil {
					t.Fatalf("%v: %v\n%s", arguments, err, output)
				}
				return output
			}
			manifest := func(replicas, delay string) string {
				return "apiVersion: wsproxy.io/v1alpha1\nkind: WebSocketProxy\nmetadata: {name: chat}\nspec:\n  upstream: {url: ws://chat.example.com}\n  settings: {retryDelay: " + delay + "}\n  " + replicas + "\n"
			}
			must(manifest(c.before, "500"), append(c.apply, "-f", "-")...)
			must("", "scale", "wsp/chat", "--replicas=7")
			must(manifest("", "600"), append(c.apply, "-f", "-")...)
			if got := must("", "get", "wsp", "chat", "-o", "jsonpath={.spec.replicas} {.spec.settings.retryDelay}"); got != c.expect+" 600" {
				t.Errorf("replicas and retryDelay are %s, want %s 600", got, c.expect)
			}
		})
	}
}
