// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"os"
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// chat is a proxy that has one setting of its own, one of its class, and all else as it
// is built in.
func chat() *wsproxyv1alpha1.WebSocketProxy {
	class := &wsproxyv1alpha1.WebSocketProxyClass{}
	class.Name, class.Spec.Settings.AutoReconnect = "default", new(true)
	proxy := &wsproxyv1alpha1.WebSocketProxy{}
	proxy.APIVersion, proxy.Kind = wsproxyv1alpha1.GroupVersion.String(), "WebSocketProxy"
	proxy.Namespace, proxy.Name, proxy.Generation = "shop", "chat", 4
	proxy.Spec.Settings.RetryDelay = new(int32(250))
	proxy.Status.ObservedGeneration = 4
	proxy.Status.EffectiveSettings = new(proxy.Spec.Settings.Effective(class))
	return proxy
}

const chatPath = "/apis/wsproxy.io/v1alpha1/namespaces/shop/websocketproxies/chat"

func TestSettingsSaysWhatIsInForceAndWhy(t *testing.T) {
	r := newRoom(t)
	r.objects[chatPath] = chat()
	want := `SETTING                   VALUE   UNIT           SOURCE
connectionLostTimeout     60      seconds        BuiltIn
reuseAddr                 true    boolean        BuiltIn
connectTimeout            30      seconds        BuiltIn
maxRetries                3       attempts       BuiltIn
retryDelay                250     milliseconds   Proxy
autoReconnect             true    boolean        Class/default
autoReconnectMaxRetries   5       attempts       BuiltIn
autoReconnectRetryDelay   2000    milliseconds   BuiltIn
`
	if got := r.must("settings", "chat"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := r.must("settings", "chat", "-o", "jsonpath={.status.effectiveSettings.retryDelay.value}"); got != "250" {
		t.Errorf("%s", got)
	}
	if got := r.must("settings", "chat", "-o", "name"); got != "websocketproxy.wsproxy.io/chat\n" {
		t.Errorf("%s", got)
	}
}

func TestSettingsKnowsEverySetting(t *testing.T) {
	table := settingsTable(chat().Status.EffectiveSettings)
	if want := reflect.TypeFor[wsproxyv1alpha1.EffectiveSettings]().NumField(); len(table.Rows) != want {
		t.Errorf("%d settings, want %d", len(table.Rows), want)
	}
	for _, line := range table.Rows {
		if len(line.Cells) != len(table.ColumnDefinitions) {
			t.Errorf("a setting of a kind that is not known: %v", line.Cells)
		}
	}
}

func TestSettingsWarnsOfWhatIsNotInForce(t *testing.T) {
	r := newRoom(t)
	proxy := chat()
	proxy.Generation = 5
	proxy.Status.Conditions = []metav1.Condition{
		{Type: wsproxyv1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: "Accepted"},
		{Type: wsproxyv1alpha1.ConditionProgrammed, Status: metav1.ConditionFalse, Reason: "PodsLagging", Message: "1 of 3 pods\x1b[2J"},
	}
	r.objects[chatPath] = proxy
	code, out, errOut := r.run("settings", "chat")
	want := "Warning: the operator has not seen the last change of proxy \"chat\": these are the settings of generation 4, and it is at 5\n" +
		"Warning: Programmed is False: PodsLagging: 1 of 3 pods^[[2J\n"
	if code != 0 || !strings.HasPrefix(out, "SETTING") || errOut != want {
		t.Errorf("%d\n%s%s\nwant\n%s", code, out, errOut, want)
	}
	proxy.Status.EffectiveSettings = nil
	r.fails("Warning: Programmed is False: PodsLagging: 1 of 3 pods^[[2J\nerror: the operator has not seen proxy \"chat\" yet: is it running?", "settings", "chat")
}
