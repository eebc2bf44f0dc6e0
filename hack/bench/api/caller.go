// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// caller asks the API in one way.
type caller struct {
	// name of the way, as it is printed.
	name   string
	client *http.Client
	base   string
	token  string
}

// callers are the ways: through the kube-apiserver, as an administrator, and directly,
// as a ServiceAccount that may see and end connections.
func (p *plane) callers(ctx context.Context) ([]*caller, error) {
	client, err := rest.HTTPClientFor(p.config)
	if err != nil {
		return nil, err
	}
	token, err := p.token(ctx, callerAccount, namespace, audience)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		// Bytes are counted as they come.
		DisableCompression: true, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: p.ca.pool(), ServerName: service + "." + system + ".svc", MinVersion: tls.VersionTLS13},
	}
	callers := []*caller{
		{name: "through kube-apiserver", client: client, base: strings.TrimSuffix(p.config.Host, "/")},
		{name: "directly", client: &http.Client{Transport: transport}, base: "https://" + p.address, token: token},
	}
	for _, c := range callers {
		if err := c.ready(ctx); err != nil {
			return nil, err
		}
	}
	return callers, nil
}

// ready waits until questions are answered: the kube-apiserver passes them on a moment
// after it says so.
func (c *caller) ready(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		_, err := c.page(ctx, "")
		if err == nil || attempt == 100 || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// path is that of the connections of the namespace, or of one, or of a subresource.
func path(rest ...string) string {
	return strings.Join(append([]string{"/apis/connections.wsproxy.io/v1alpha1/namespaces/" + namespace + "/websocketconnections"}, rest...), "/")
}

// format is how an answer is wanted; zipped says that it may be compressed, as it is for
// client-go.
type format struct {
	zipped bool
	accept string // Empty: objects as JSON.
}

// asTable is what kubectl accepts.
const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io"

// refusedError is an answer that is none.
type refusedError struct {
	code int
	said string
}

// Error implements error.
func (e *refusedError) Error() string { return e.said }

// ask is askAs for objects as JSON.
func (c *caller) ask(ctx context.Context, method, path, body string, zipped bool) (*http.Response, error) {
	return c.askAs(ctx, format{zipped: zipped}, method, path, body)
}

// askAs sends a request and returns the answer, whose body is to be closed. The error
// may be a *refusedError.
func (c *caller) askAs(ctx context.Context, how format, method, path, body string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", cmp.Or(how.accept, "application/json"))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept-Encoding", "identity")
	if how.zipped {
		request.Header.Set("Accept-Encoding", "gzip")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		defer response.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(response.Body, 1000)) // What there is of it.
		return nil, fmt.Errorf("%s %s: %w", method, path, &refusedError{response.StatusCode, fmt.Sprintf("%s: %s", response.Status, bytes.TrimSpace(said))})
	}
	return response, nil
}

// whole is ask for small answers.
func (c *caller) whole(ctx context.Context, method, path, body string) ([]byte, error) {
	response, err := c.ask(ctx, method, path, body, false)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// get asks for one connection.
func (c *caller) get(ctx context.Context, name string) error {
	answer, err := c.whole(ctx, http.MethodGet, path(name), "")
	if err == nil && !bytes.Contains(answer, []byte(name)) {
		err = fmt.Errorf("asked for %s, got %s", name, answer)
	}
	return err
}

// disconnect ends one connection.
func (c *caller) disconnect(ctx context.Context, name string) error {
	_, err := c.whole(ctx, http.MethodPost, path(name, "disconnect"),
		`{"code":4000,"reason":"measured"}`)
	return err
}

// page is a list, or a part of one.
type page struct {
	Metadata struct {
		Continue    string            `json:"continue"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
	// bytes are those of the answer as it came.
	bytes int64
}

// page asks for a page after a token.
func (c *caller) page(ctx context.Context, token string) (*page, error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if token != "" {
		query.Set("continue", token)
	}
	response, err := c.ask(ctx, http.MethodGet, path()+"?"+query.Encode(), "", true)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	plain, counted, err := unzipped(response)
	if err != nil {
		return nil, err
	}
	p := &page{}
	if err := json.NewDecoder(plain).Decode(p); err != nil {
		return nil, err
	}
	if len(p.Metadata.Annotations) > 0 {
		return nil, fmt.Errorf("the list is not complete: %v", p.Metadata.Annotations)
	}
	p.bytes = counted.n
	return p, nil
}

// unzipped returns the content of an answer and what counts its bytes on the way.
func unzipped(response *http.Response) (io.Reader, *counter, error) {
	counted := &counter{of: response.Body}
	if response.Header.Get("Content-Encoding") != "gzip" {
		return counted, counted, nil
	}
	plain, err := gzip.NewReader(counted)
	return plain, counted, err
}

// counter counts what is read.
type counter struct {
	of io.Reader
	n  int64
}

// Read implements io.Reader.
func (c *counter) Read(into []byte) (int, error) {
	n, err := c.of.Read(into)
	c.n += int64(n)
	return n, err
}
