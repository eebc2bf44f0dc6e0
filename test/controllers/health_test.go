// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// healthOf is what Argo CD calls that which kstatus calls so. What is being deleted it
// does not ask the script of.
var healthOf = map[status.Status]string{
	status.InProgressStatus: "Progressing",
	status.CurrentStatus:    "Healthy",
	status.FailedStatus:     "Degraded",
}

// health runs the script that Argo CD is given for a kind, in the same interpreter and
// with the same libraries.
func health(t *testing.T, o *unstructured.Unstructured) (status, message string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "config", "argocd", "health.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var patch corev1.ConfigMap
	if err := yaml.UnmarshalStrict(raw, &patch); err != nil {
		t.Fatal(err)
	}
	gvk := o.GroupVersionKind()
	script := patch.Data["resource.customizations.health."+gvk.Group+"_"+gvk.Kind]
	if script == "" {
		t.Fatalf("Argo CD is given no script for %s", gvk)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	state.SetGlobal("obj", luaOf(state, o.Object))
	if err := state.DoString(script); err != nil {
		t.Fatalf("%s: %v", gvk.Kind, err)
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("%s: the script returns %v", gvk.Kind, state.Get(-1))
	}
	return answer.RawGetString("status").String(), answer.RawGetString("message").String()
}

// luaOf makes a value of Lua of one of JSON.
func luaOf(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, each := range v {
			table.RawSetString(key, luaOf(state, each))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, each := range v {
			table.Append(luaOf(state, each))
		}
		return table
	case string:
		return lua.LString(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	case nil:
		return lua.LNil
	default:
		panic(fmt.Sprintf("no JSON: %T", value))
	}
}

// Statuses that an operator writes are judged where TestToolsThatKnowNothing… sees them.
func TestArgoCDWaitsForWhatNobodyHasSeen(t *testing.T) {
	proxy := func(status map[string]any) *unstructured.Unstructured {
		o := map[string]any{"apiVersion": "wsproxy.io/v1alpha1", "kind": "WebSocketProxy", "metadata": map[string]any{"generation": int64(2)}}
		if status != nil {
			o["status"] = status
		}
		return &unstructured.Unstructured{Object: o}
	}
	ready := []any{map[string]any{"type": "Ready", "status": "True", "message": "ready"}}
	for name, c := range map[string]struct {
		status map[string]any
		want   string
	}{
		"no status":         {nil, "Progressing"},
		"no conditions":     {map[string]any{"observedGeneration": int64(2)}, "Progressing"},
		"an older spec's":   {map[string]any{"observedGeneration": int64(1), "conditions": ready}, "Progressing"},
		"nobody's yet":      {map[string]any{"conditions": ready}, "Progressing"},
		"that of this spec": {map[string]any{"observedGeneration": int64(2), "conditions": ready}, "Healthy"},
	} {
		if got, _ := health(t, proxy(c.status)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	class := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "wsproxy.io/v1alpha1", "kind": "WebSocketProxyClass"}}
	if got, _ := health(t, class); got != "Healthy" {
		t.Errorf("a class without a status is %s", got)
	}
	class.Object["status"] = map[string]any{"proxies": int64(3)}
	if got, message := health(t, class); got != "Healthy" || message != "3 proxies inherit from it" {
		t.Errorf("a class is %s: %s", got, message)
	}
}
