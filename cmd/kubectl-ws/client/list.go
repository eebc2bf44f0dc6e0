// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// Selection says which connections are meant.
type Selection struct {
	// Namespace is where they are; empty: everywhere.
	Namespace string
	// Labels and Fields are selectors; empty ones select everything.
	Labels, Fields string
	// Page is how many are asked for at a time; 0: for all at once.
	Page int64
}

// asTable asks for a Table, whose rows carry the objects.
const asTable = "application/json;as=Table;g=meta.k8s.io;v=v1"

// Tables calls page with one table after the other, in the order of the names. The
// Object of a row is raw.
func (c *Client) Tables(ctx context.Context, s Selection, page func(*metav1.Table) error) error {
	return c.pages(ctx, s, tabular, func(raw []byte) (string, error) {
		table, err := tableOf(raw, nil)
		if err != nil {
			return "", err
		}
		return table.Continue, page(table)
	})
}

// Table is Tables for one connection.
func (c *Client) Table(ctx context.Context, namespace, name string) (*metav1.Table, error) {
	return tableOf(answer(ctx, tabular(c.request(http.MethodGet, Connections, namespace).Name(name))))
}

// Lists calls page with one list after the other.
func (c *Client) Lists(ctx context.Context, s Selection, page func(*unstructured.UnstructuredList) error) error {
	return c.pages(ctx, s, func(r *rest.Request) *rest.Request { return r }, func(raw []byte) (string, error) {
		list := &unstructured.UnstructuredList{}
		if err := list.UnmarshalJSON(raw); err != nil {
			return "", err
		}
		return list.GetContinue(), page(list)
	})
}

// pages reads one page after the other until there is none.
func (c *Client) pages(ctx context.Context, s Selection, how func(*rest.Request) *rest.Request, read func([]byte) (more string, err error)) error {
	options := metav1.ListOptions{LabelSelector: s.Labels, FieldSelector: s.Fields, Limit: s.Page}
	for {
		request := how(c.request(http.MethodGet, Connections, s.Namespace)).VersionedParams(&options, metav1.ParameterCodec)
		raw, err := answer(ctx, request)
		if err != nil {
			return resource.EnhanceListError(err, options, Connections.String())
		}
		if options.Continue, err = read(raw); err != nil || options.Continue == "" {
			return err
		}
	}
}

func tabular(r *rest.Request) *rest.Request {
	return r.SetHeader("Accept", asTable).Param("includeObject", string(metav1.IncludeObject))
}

func tableOf(raw []byte, err error) (*metav1.Table, error) {
	if err != nil {
		return nil, err
	}
	table := &metav1.Table{}
	if err := json.Unmarshal(raw, table); err != nil {
		return nil, fmt.Errorf("the server's table: %w", err)
	}
	if table.Kind != "Table" {
		return nil, fmt.Errorf("the server answers with a %q where it was asked for a table", table.Kind)
	}
	return table, nil
}

// Unanswered returns the pods whose connections are missing from a list, each as
// "namespace/name".
func Unanswered(list *unstructured.UnstructuredList) []string {
	pods, _, _ := unstructured.NestedString(list.Object, "metadata", "annotations", connectionsv1alpha1.AnnotationUnansweredPods)
	if pods == "" {
		return nil
	}
	return strings.Split(pods, ",")
}

// ProxyNames returns the names of the proxies of a namespace, at most that many.
func (c *Client) ProxyNames(ctx context.Context, namespace string, limit int64) ([]string, error) {
	options := metav1.ListOptions{Limit: limit}
	raw, err := answer(ctx, c.request(http.MethodGet, Proxies, namespace).VersionedParams(&options, metav1.ParameterCodec))
	if err != nil {
		return nil, err
	}
	list := &metav1.PartialObjectMetadataList{}
	if err := json.Unmarshal(raw, list); err != nil {
		return nil, fmt.Errorf("the server's list of proxies: %w", err)
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names, nil
}
