// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservice

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func parse(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	o := Object()
	o.SetUID("uid")
	o.SetResourceVersion("7")
	var content any
	if err := json.Unmarshal([]byte(spec), &content); err != nil {
		t.Fatal(err)
	}
	o.Object["spec"] = content
	return o
}

func TestWhichAPIServiceIsOurs(t *testing.T) {
	for spec, want := range map[string]bool{
		`{"service":{"namespace":"wsproxy-system","name":"wsproxy-apiserver","port":443}}`: true,
		`{"service":{"namespace":"wsproxy-system","name":"another"}}`:                      false,
		`{"service":{"namespace":"another","name":"wsproxy-apiserver"}}`:                   false,
		// One that kube-apiserver serves itself.
		`{"service":null}`: false,
		`{}`:               false,
		`null`:             false,
		`{"service":"wsproxy-system/wsproxy-apiserver"}`: false,
	} {
		if got := leadsTo(parse(t, spec), "wsproxy-system"); got != want {
			t.Errorf("%s: %t", spec, got)
		}
	}
}

func TestWhichBundleAnAPIServiceHas(t *testing.T) {
	for spec, want := range map[string]string{
		`{"caBundle":"Y2E="}`: "ca",
		`{"caBundle":null}`:   "",
		`{"caBundle":"?"}`:    "",
		`{}`:                  "",
	} {
		if got := bundleOf(parse(t, spec)); string(got) != want {
			t.Errorf("%s: %q", spec, got)
		}
	}
}

func TestNothingButTheBundleIsWritten(t *testing.T) {
	raw, err := json.Marshal(desired(parse(t, `{"group":"connections.wsproxy.io","service":{"name":"wsproxy-apiserver"}}`), []byte("ca")))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService",` +
		`"metadata":{"name":"v1alpha1.connections.wsproxy.io","resourceVersion":"7","uid":"uid"},"spec":{"caBundle":"Y2E="}}`
	if string(raw) != want {
		t.Errorf("got %s, want %s", raw, want)
	}
}
