// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
)

// room is a server that answers as an API server does, and a kubeconfig that leads to
// it, with the namespace shop. What the real one answers is tested in test/apiserver;
// here it is what cannot be had from it at will.
type room struct {
	*testing.T
	kubeconfig string
	input      string
	now        func() time.Time

	mu sync.Mutex
	// What follows is guarded by mu.
	connections []connectionsv1alpha1.WebSocketConnection
	// refuse, where there is one, may answer a request with an error.
	refuse func(*http.Request) *apierrors.StatusError
	// silent are pods that do not answer.
	silent string
	// asked are the requests: method, path and query.
	asked []string
	// bodies are those of the requests that had one.
	bodies []string
	// objects are what else can be had, by path.
	objects map[string]any
}

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{T: t, now: time.Now, objects: map[string]any{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.at(server.URL)
	return r
}

func (r *room) at(url string) {
	r.Helper()
	r.kubeconfig = filepath.Join(r.TempDir(), "kubeconfig")
	content := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"it","contexts":[{"name":"it","context":{"cluster":"it","namespace":"shop"}}],"clusters":[{"name":"it","cluster":{"server":%q}}]}`, url)
	if err := os.WriteFile(r.kubeconfig, []byte(content), 0o600); err != nil {
		r.Fatal(err)
	}
}

var errNo = errors.New("no")

// connect opens n connections.
func (r *room) connect(n int) {
	for i := range n {
		c := connectionsv1alpha1.WebSocketConnection{}
		c.APIVersion, c.Kind = connectionsv1alpha1.GroupVersion.String(), "WebSocketConnection"
		c.Namespace, c.Name = "shop", fmt.Sprintf("pod-%04d", i)
		c.Labels = map[string]string{"wsproxy.io/proxy": "chat"}
		c.Spec.Proxy, c.Spec.Client.SourceIP = "chat", fmt.Sprintf("192.0.2.%d", i)
		c.Spec.ConnectedAt = metav1.NewMicroTime(time.Date(2026, 1, 1, 0, 0, n-i, 0, time.UTC))
		r.connections = append(r.connections, c)
	}
}

// traffic adds to what the i-th connection has transferred.
func (r *room) traffic(i int, messages, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	client := &r.connections[i].Status.FromClient
	client.Messages, client.Bytes = client.Messages+messages, client.Bytes+bytes
}

// run is a command line, and what it prints on both streams.
func (r *room) run(arguments ...string) (code int, out, errOut string) {
	r.Helper()
	return r.runIn(r.Context(), arguments...)
}

func (r *room) runIn(ctx context.Context, arguments ...string) (code int, out, errOut string) {
	r.Helper()
	var stdout, stderr bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(r.input), Out: &stdout, ErrOut: &stderr}
	if arguments[0] != "__complete" {
		arguments = append(arguments, "--kubeconfig="+r.kubeconfig)
	}
	code = execute(ctx, &session{streams: streams, now: r.now}, arguments)
	return code, stdout.String(), stderr.String()
}

// complete is what kubectl asks for while a command line is typed.
func (r *room) complete(arguments ...string) (code int, out, errOut string) {
	r.Helper()
	return r.run(append([]string{"__complete", "--kubeconfig=" + r.kubeconfig}, arguments...)...)
}

// must is run for what has to succeed without a word on stderr.
func (r *room) must(arguments ...string) string {
	r.Helper()
	code, out, errOut := r.run(arguments...)
	if code != 0 || errOut != "" {
		r.Fatalf("%v: exit code %d\n%s%s", arguments, code, out, errOut)
	}
	return out
}

// fails expects an exit code of 1 and these words on stderr, as all there is.
func (r *room) fails(want string, arguments ...string) {
	r.Helper()
	code, out, errOut := r.run(arguments...)
	if code != 1 || out != "" || strings.TrimSuffix(errOut, "\n") != want {
		r.Errorf("%v: exit code %d\n%s%swant\n%s", arguments, code, out, errOut, want)
	}
}

// ServeHTTP implements http.Handler.
func (r *room) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, request.Method+" "+request.URL.RequestURI())
	if body, err := io.ReadAll(request.Body); err == nil && len(body) > 0 {
		r.bodies = append(r.bodies, string(body))
	}
	if r.refuse != nil {
		if err := r.refuse(request); err != nil {
			answerError(w, err)
			return
		}
	}
	parts := strings.Split(strings.TrimPrefix(request.URL.Path, "/apis/"+connectionsv1alpha1.GroupVersion.String()+"/"), "/")
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	switch object, known := r.objects[request.URL.Path]; {
	case known:
		answer(w, http.StatusOK, object)
	case parts[0] != connectionsv1alpha1.ResourceConnections:
		http.Error(w, "404 page not found", http.StatusNotFound)
	case len(parts) == 1:
		r.listLocked(w, request)
	case len(parts) == 3 && parts[2] == connectionsv1alpha1.SubresourceSend:
		answer(w, http.StatusCreated, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
	default:
		r.oneLocked(w, request, parts[1])
	}
}

func (r *room) listLocked(w http.ResponseWriter, request *http.Request) {
	from, _ := strconv.Atoi(request.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(request.URL.Query().Get("limit"))
	list := connectionsv1alpha1.WebSocketConnectionList{Items: r.connections[from:]}
	list.APIVersion, list.Kind = connectionsv1alpha1.GroupVersion.String(), "WebSocketConnectionList"
	list.ResourceVersion = "7"
	if limit > 0 && limit < len(list.Items) {
		list.Items, list.Continue = list.Items[:limit], strconv.Itoa(from+limit)
	}
	if r.silent != "" {
		w.Header().Set("Warning", `299 - "no answer from `+r.silent+`"`)
		list.Annotations = map[string]string{connectionsv1alpha1.AnnotationUnansweredPods: r.silent}
	}
	if isTabular(request) {
		table := tableOfAll(list.Items)
		table.ListMeta = list.ListMeta
		answer(w, http.StatusOK, table)
		return
	}
	answer(w, http.StatusOK, list)
}

func (r *room) oneLocked(w http.ResponseWriter, request *http.Request, name string) {
	for _, c := range r.connections {
		switch {
		case c.Name != name:
		case request.Method == http.MethodPost:
			answer(w, http.StatusCreated, c)
			return
		case isTabular(request):
			answer(w, http.StatusOK, tableOfAll([]connectionsv1alpha1.WebSocketConnection{c}))
			return
		default:
			answer(w, http.StatusOK, c)
			return
		}
	}
	answerError(w, apierrors.NewNotFound(connections, name))
}

func isTabular(request *http.Request) bool {
	return strings.Contains(request.Header.Get("Accept"), "as=Table") && request.URL.Query().Get("includeObject") == "Object"
}

func tableOfAll(items []connectionsv1alpha1.WebSocketConnection) *metav1.Table {
	table := &metav1.Table{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "Table"}, ColumnDefinitions: []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name"}, {Name: "Proxy", Type: "string"}, {Name: "Phase", Type: "string"},
		{Name: "Messages", Type: "string"}, {Name: "Age", Type: "string"}, {Name: "Bytes", Type: "string", Priority: 1},
	}}
	for _, c := range items {
		table.Rows = append(table.Rows, metav1.TableRow{
			Cells:  []any{c.Name, c.Spec.Proxy, "Open", fmt.Sprint(c.Status.FromClient.Messages), "1h", fmt.Sprint(c.Status.FromClient.Bytes)},
			Object: runtime.RawExtension{Object: &c},
		})
	}
	return table
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}

func answerError(w http.ResponseWriter, err *apierrors.StatusError) {
	s := err.Status()
	s.APIVersion, s.Kind = "v1", "Status"
	if s.Details != nil && s.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(s.Details.RetryAfterSeconds)))
	}
	answer(w, int(s.Code), s)
}
