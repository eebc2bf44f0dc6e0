// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/docs/markdown"
)

const (
	mappingFile = "../../docs/api-mapping.md"
	// mappingTest runs the tests that the rows name.
	mappingTest = "TestAPIMapping"
)

// mappingDocument is what docs/api-mapping.md says.
type mappingDocument struct {
	rows []mappingRow
	// bodies are the JSON bodies by the anchor of their heading.
	bodies map[string]string
}

// mappingRow is a row of a table. The last column of each is the test.
type mappingRow struct {
	cells []string
	// The first code of a column; empty where there is none.
	kubectl, http, ours, test string
	// body is the anchor in the first column; empty where there is none.
	body string
}

// bodyLink leads from a row to its body.
var bodyLink = regexp.MustCompile(`\]\(#(apinizer-[^)]+)\)`)

func readMapping(t *testing.T) *mappingDocument {
	t.Helper()
	page, err := markdown.Read(mappingFile)
	if err != nil {
		t.Fatal(err)
	}
	d := &mappingDocument{bodies: map[string]string{}}
	for _, block := range page.Blocks {
		d.bodies[block.Anchor] = block.Text
	}
	for _, table := range page.Tables {
		if last := table.Header[len(table.Header)-1]; last != "test" {
			t.Errorf("a table has the last column %q, want test: %v", last, table.Header)
		}
		for _, cells := range table.Rows {
			code := func(column string) string {
				if i := slices.Index(table.Header, column); i >= 0 {
					return markdown.Code(cells[i])
				}
				return ""
			}
			row := mappingRow{cells: cells, kubectl: code("kubectl"), http: code("HTTP"), ours: code("our answer"), test: code("test")}
			if found := bodyLink.FindStringSubmatch(cells[0]); found != nil {
				row.body = found[1]
			}
			d.rows = append(d.rows, row)
		}
	}
	if len(d.rows) == 0 {
		t.Fatalf("%s has no rows", mappingFile)
	}
	return d
}

// mappingTry is a row that is tried.
type mappingTry struct {
	*mapping
	*room
	row mappingRow
}

// fill puts values in the place of the names that the document uses.
func (c *mappingTry) fill(text string, values ...string) string {
	api := func(version, resource string) string {
		return "/apis/" + version + "/namespaces/" + c.namespace + "/" + resource
	}
	return strings.NewReplacer(append(values,
		"CONNECTIONS", connectionPath(c.namespace),
		"PROXIES", api(wsproxyv1alpha1.GroupVersion.String(), "websocketproxies"),
		// What no row says is what most of them are about.
		"PROXY", c.chat.Name,
	)...).Replace(text)
}

// expected is what the row says that we answer.
func (c *mappingTry) expected() (code int, reason metav1.StatusReason) {
	c.t.Helper()
	number, rest, _ := strings.Cut(c.row.ours, " ")
	code, err := strconv.Atoi(number)
	if err != nil {
		c.t.Fatalf("the row says that we answer %q", c.row.ours)
	}
	return code, metav1.StatusReason(rest)
}

// sends sends the row's request as somebody and expects the row's answer.
func (c *mappingTry) sends(who *account, values ...string) reply {
	c.t.Helper()
	got := c.sendsAnyhow(who, values...)
	code, reason := c.expected()
	if got.code != code || got.status.Reason != reason || reason != "" && int(got.status.Code) != code {
		c.t.Fatalf("%s is answered with %d %s, want %d %s: %s", c.row.http, got.code, got.status.Reason, code, reason, got.body)
	}
	return got
}

// sendsAnyhow is sends whatever the answer is.
func (c *mappingTry) sendsAnyhow(who *account, values ...string) reply {
	c.t.Helper()
	got, err := c.asks(c.t.Context(), who, values...)
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

func (c *mappingTry) asks(ctx context.Context, who *account, values ...string) (reply, error) {
	method, rest, _ := strings.Cut(c.row.http, " ")
	path, body, _ := strings.Cut(rest, " ")
	client := *who.client
	if method == http.MethodPatch {
		client.Transport = mergePatch{client.Transport}
	}
	as := &account{url: who.url, client: &client}
	return as.ask(ctx, method, c.fill(path, values...), c.fill(body, values...))
}

// mergePatch says of what is sent that it is one.
type mergePatch struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (m mergePatch) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Content-Type", "application/merge-patch+json")
	return m.next.RoundTrip(request)
}

// types types the row's command as somebody, expects that it goes as the row says
// and returns what it prints.
func (c *mappingTry) types(who *account, values ...string) string {
	c.t.Helper()
	out, err := c.typesAnyhow(who, values...)
	code, reason := c.expected()
	says := fmt.Sprintf("(%s)", reason)
	if reason == metav1.StatusReasonInvalid {
		says = "is invalid"
	}
	if (err == nil) != (code < http.StatusBadRequest) || err != nil && !strings.Contains(out, says) {
		c.t.Fatalf("%s: %v, want %d %s:\n%s", c.row.kubectl, err, code, reason, out)
	}
	return out
}

// typesAnyhow is types whatever comes of it.
func (c *mappingTry) typesAnyhow(who *account, values ...string) (string, error) {
	c.t.Helper()
	if c.row.kubectl == "" {
		c.t.Fatal("the row has no command")
	}
	if out, err := who.kubectl(c.t, "config", "set-context", "--current", "--namespace="+c.namespace); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(c.t.Context(), "bash", "-c", c.fill(c.row.kubectl, values...))
	cmd.Env = append(os.Environ(), "KUBECONFIG="+who.kubeconfig)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
