// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDiscovery(t *testing.T) {
	r := newRoom(t)
	var l metav1.APIResourceList
	r.get("/apis/connections.wsproxy.io/v1alpha1").into(http.StatusOK, &l)
	got := map[string]metav1.APIResource{}
	for _, resource := range l.APIResources {
		got[resource.Name] = resource
	}
	for name, verbs := range map[string]string{
		"websocketconnections":            "delete,deletecollection,get,list,watch",
		"websocketconnections/status":     "get",
		"websocketconnections/disconnect": "create",
		"websocketconnections/send":       "create",
		"closedwebsocketconnections":      "get,list",
	} {
		resource := got[name]
		slices.Sort(resource.Verbs)
		if strings.Join(resource.Verbs, ",") != verbs || !resource.Namespaced {
			t.Errorf("%s: %+v", name, resource)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("also there: %v", got)
	}
	main := l.APIResources[slices.IndexFunc(l.APIResources, func(r metav1.APIResource) bool { return r.Name == "websocketconnections" })]
	if closed := l.APIResources[slices.IndexFunc(l.APIResources, func(r metav1.APIResource) bool { return r.Name == "closedwebsocketconnections" })]; closed.SingularName != "closedwebsocketconnection" ||
		closed.Kind != "ClosedWebSocketConnection" || !slices.Equal(closed.ShortNames, []string{"cwsc"}) || len(closed.Categories) > 0 {
		t.Errorf("%+v", closed)
	}
	if main.SingularName != "websocketconnection" || main.Kind != "WebSocketConnection" || !slices.Equal(main.ShortNames, []string{"wsc"}) || !slices.Equal(main.Categories, []string{"wsproxy"}) {
		t.Errorf("%+v", main)
	}
}

const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

func TestTable(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(1)[0]
	for _, at := range []string{path("shop"), path("shop", name), path("shop", name, "status")} {
		var table metav1.Table
		r.call(call{path: at, accept: asTable}).into(http.StatusOK, &table)
		if table.Kind != "Table" || len(table.Rows) != 1 {
			t.Fatalf("%s: %+v", at, table)
		}
		var columns, cells []string
		for i, c := range table.ColumnDefinitions {
			if c.Priority == 0 {
				columns = append(columns, c.Name)
			} else {
				columns = append(columns, c.Name+"*")
			}
			cells = append(cells, fmt.Sprint(table.Rows[0].Cells[i]))
		}
		if got, want := strings.Join(columns, " "), "Name Proxy Client Path Phase Messages Age Pod* Upstream* Bytes* User-Agent*"; got != want {
			t.Errorf("columns %s, want %s", got, want)
		}
		cells[6] = "AGE"
		if got, want := strings.Join(cells, "|"), name+"|echo|192.0.2.0|/chat/0|Open|1 / 12.3k|AGE|echo-a|10.0.0.7:8080|100B / 5.0Mi|test/1.0"; got != want {
			t.Errorf("cells\n%s, want\n%s", got, want)
		}
		var partial metav1.PartialObjectMetadata
		if err := json.Unmarshal(table.Rows[0].Object.Raw, &partial); err != nil || partial.Name != name || partial.Kind != "PartialObjectMetadata" {
			t.Errorf("row of %s: %v", table.Rows[0].Object.Raw, err)
		}
	}
}

func TestTablesHavePagesAndWarnings(t *testing.T) {
	r := newRoom(t)
	r.pod("shop", "echo", "echo-a").connect(5)
	var table metav1.Table
	r.call(call{path: path("shop") + "?limit=2", accept: asTable}).into(http.StatusOK, &table)
	if len(table.Rows) != 2 || table.Continue == "" || table.ResourceVersion == "" {
		t.Errorf("%+v", table.ListMeta)
	}
}

func TestMetadataOnly(t *testing.T) {
	r := newRoom(t)
	p := r.pod("shop", "echo", "echo-a")
	name := p.connect(3)[0]
	var l metav1.PartialObjectMetadataList
	r.call(call{path: path("shop"), accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}).into(http.StatusOK, &l)
	if l.Kind != "PartialObjectMetadataList" || len(l.Items) != 3 || l.Items[0].Name != name || l.Items[0].Labels["wsproxy.io/proxy"] != "echo" {
		t.Errorf("%+v", l)
	}
	var one metav1.PartialObjectMetadata
	r.call(call{path: path("shop", name), accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}).into(http.StatusOK, &one)
	if one.Kind != "PartialObjectMetadata" || one.Name != name {
		t.Errorf("%+v", one)
	}
	// The controllers of Kubernetes ask in protobuf.
	a := r.call(call{path: path("shop"), accept: "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"})
	if a.code != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/vnd.kubernetes.protobuf") {
		t.Errorf("%d %s", a.code, a.header)
	}
}

func TestOpenAPI(t *testing.T) {
	r := newRoom(t)
	var v3 struct {
		Components struct {
			Schemas map[string]struct {
				Description string
				Properties  map[string]struct{ Description string }
				GVK         []metav1.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
			}
		}
	}
	r.get("/openapi/v3/apis/connections.wsproxy.io/v1alpha1").into(http.StatusOK, &v3)
	for _, kind := range []string{"WebSocketConnection", "ClosedWebSocketConnection"} {
		schema := v3.Components.Schemas["io.wsproxy.connections.v1alpha1."+kind]
		if len(schema.GVK) != 1 || schema.GVK[0].Kind != kind || schema.Properties["spec"].Description == "" {
			t.Errorf("%+v", schema)
		}
	}
	for name, schema := range v3.Components.Schemas {
		for field, property := range schema.Properties {
			if strings.HasPrefix(name, "io.wsproxy.") && property.Description == "" && field != "apiVersion" && field != "kind" {
				t.Errorf("%s.%s has no description", name, field)
			}
		}
	}
}
