// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// call is one request; empty fields have the values of most tests.
type call struct {
	method string // GET
	path   string
	user   string // "alice"
	accept string // JSON
	body   any
}

type answer struct {
	*testing.T
	code   int
	header http.Header
	body   []byte
}

func (r *room) call(c call) answer {
	r.Helper()
	var body bytes.Buffer
	if text, ok := c.body.(string); ok {
		body.WriteString(text)
	} else if c.body != nil {
		if err := json.NewEncoder(&body).Encode(c.body); err != nil {
			r.Fatal(err)
		}
	}
	if c.method == "" {
		c.method = http.MethodGet
	}
	if c.user == "" {
		c.user = "alice"
	}
	request, err := http.NewRequestWithContext(r.Context(), c.method, r.url+c.path, &body)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("X-Test-User", c.user)
	request.Header.Set("Content-Type", "application/json")
	if c.accept != "" {
		request.Header.Set("Accept", c.accept)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return answer{r.T, response.StatusCode, response.Header, raw}
}

func (r *room) get(path string) answer {
	r.Helper()
	return r.call(call{path: path})
}

// into decodes the body of an answer with the expected code.
func (a answer) into(code int, object any) {
	a.Helper()
	if a.code != code {
		a.Fatalf("%d, want %d: %s", a.code, code, a.body)
	}
	if err := json.Unmarshal(a.body, object); err != nil {
		a.Fatalf("%v: %s", err, a.body)
	}
}

func (a answer) object(code int) (c connectionsv1alpha1.WebSocketConnection) {
	a.Helper()
	a.into(code, &c)
	if c.Kind != "WebSocketConnection" {
		a.Fatalf("not a connection: %s", a.body)
	}
	return c
}

func (a answer) list() (l connectionsv1alpha1.WebSocketConnectionList) {
	a.Helper()
	a.into(http.StatusOK, &l)
	if l.Kind != "WebSocketConnectionList" {
		a.Fatalf("not a list: %s", a.body)
	}
	return l
}

// refusal is the Status of an answer that is an error; field, where it is not
// empty, must be among its causes.
func (a answer) refusal(code int, reason metav1.StatusReason, field string) (s metav1.Status) {
	a.Helper()
	a.into(code, &s)
	if s.Kind != "Status" || int(s.Code) != code || s.Reason != reason {
		a.Errorf("status %+v, want %d %s", s, code, reason)
	}
	if field == "" {
		return s
	}
	var fields []string
	for _, cause := range s.Details.Causes {
		fields = append(fields, cause.Field)
	}
	if !slices.Contains(fields, field) || !strings.Contains(s.Message, field) {
		a.Errorf("it names %v, not %s: %s", fields, field, s.Message)
	}
	return s
}

func namesOf(l connectionsv1alpha1.WebSocketConnectionList) []string {
	names := make([]string, 0, len(l.Items))
	for _, c := range l.Items {
		names = append(names, c.Name)
	}
	return names
}
