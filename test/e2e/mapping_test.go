// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/hack/load/fleet"
)

// mappingTests are the tests that docs/api-mapping.md names in its rows, without
// the name of the function that runs them.
var mappingTests = map[string]func(*mappingTry){
	"yandex/get":                    (*mappingTry).gets,
	"yandex/send":                   (*mappingTry).says,
	"yandex/disconnect":             (*mappingTry).deletes,
	"yandex/disconnect-with-a-code": (*mappingTry).disconnects,
	"yandex/disconnect-several":     (*mappingTry).deletesSeveral,
	"yandex/unauthenticated":        (*mappingTry).knowsNobody,
	"yandex/permission-denied":      (*mappingTry).forbids,
	"yandex/not-found":              (*mappingTry).findsNone,
	"yandex/invalid-argument":       (*mappingTry).refusesTheName,
	"yandex/resource-exhausted":     (*mappingTry).throttles,

	"yandex/id":             (*mappingTry).hasID,
	"yandex/gateway-id":     (*mappingTry).hasProxy,
	"yandex/source-ip":      (*mappingTry).hasSourceIP,
	"yandex/user-agent":     (*mappingTry).hasUserAgent,
	"yandex/connected-at":   (*mappingTry).hasConnectedAt,
	"yandex/last-active-at": (*mappingTry).hasLastActiveAt,
	"yandex/connection-id":  (*mappingTry).tellsTheClient,

	"apinizer/full-json-body":       (*mappingTry).takesTheBody,
	"apinizer/example-1":            (*mappingTry).takesTheBody,
	"apinizer/example-2":            (*mappingTry).takesTheBody,
	"apinizer/example-3":            (*mappingTry).takesTheBody,
	"apinizer/example-4":            (*mappingTry).takesWhatIsInTheEnvelope,
	"apinizer/envelope":             (*mappingTry).takesNoEnvelope,
	"apinizer/only-provided-fields": (*mappingTry).keepsWhatIsNotProvided,
	"apinizer/system-default":       (*mappingTry).inheritsAgain,
	"apinizer/bad-request":          (*mappingTry).refusesTheValue,
	"apinizer/unauthorized":         (*mappingTry).knowsNobody,
	"apinizer/forbidden":            (*mappingTry).forbids,
	"apinizer/not-found":            (*mappingTry).findsNone,

	"aws/post-to-connection": (*mappingTry).says,
	"aws/get-connection":     (*mappingTry).gets,
	"aws/delete-connection":  (*mappingTry).deletes,
	"aws/gone":               (*mappingTry).findsNone,
	"aws/forbidden":          (*mappingTry).forbids,
	"aws/limit-exceeded":     (*mappingTry).throttles,
	"aws/payload-too-large":  (*mappingTry).refusesTheSize,

	"azure/connection-exists":         (*mappingTry).gets,
	"azure/connection-does-not-exist": (*mappingTry).findsNone,
	"azure/close-connection":          (*mappingTry).disconnects,
	"azure/send-to-connection":        (*mappingTry).says,
	"azure/close-all-connections":     (*mappingTry).closesAll,

	"bentley/no-content":                (*mappingTry).deletes,
	"bentley/header-not-found":          (*mappingTry).needsAToken,
	"bentley/invalid-token":             (*mappingTry).knowsNobody,
	"bentley/insufficient-permissions":  (*mappingTry).forbids,
	"bentley/connection-not-found":      (*mappingTry).findsNone,
	"bentley/connection-already-in-use": (*mappingTry).isClosing,
	"bentley/delete-again":              (*mappingTry).deletesAgain,
	"bentley/invalid-request":           (*mappingTry).refusesTheName,
	"bentley/rate-limit-exceeded":       (*mappingTry).throttles,
}

func TestEveryRowOfTheMappingHasATestAndEveryTestARow(t *testing.T) {
	rows := map[string]bool{}
	for _, row := range readMapping(t).rows {
		name, ok := strings.CutPrefix(row.test, mappingTest+"/")
		switch {
		case !ok || mappingTests[name] == nil:
			t.Errorf("the row %q names the test %q, which does not exist", row.cells[0], row.test)
		case rows[name]:
			t.Errorf("two rows name the test %s", row.test)
		}
		rows[name] = true
	}
	for name := range mappingTests {
		if !rows[name] {
			t.Errorf("no row names the test %s/%s", mappingTest, name)
		}
	}
}

// mapping is what the rows are tried on.
type mapping struct {
	*room
	document *mappingDocument
	// echo is the proxy of the clients, chat of the settings.
	echo, chat *wsproxyv1alpha1.WebSocketProxy
	clients    *fleet.Fleet
	// names are connections that no row was tried on.
	names []string
	// ended are those which a row has ended.
	ended endings
	// operator may end connections and change settings, viewer may only see
	// connections, messenger may only send to their clients.
	operator, viewer, messenger *account
}

func TestAPIMapping(t *testing.T) {
	r := newRoom(t, "e2e-mapping", 1)
	m := &mapping{room: r, document: readMapping(t), ended: endings{}}
	m.echo = r.proxy("echo", func(spec *wsproxyv1alpha1.WebSocketProxySpec) {
		// Wherever the clients seem to come from in the network of this cluster.
		spec.Listen.TrustedProxies = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
	})
	m.chat = r.proxy("chat", onePod)
	m.clients = r.connectWith(m.echo, fleet.Options{Connections: 40, Rate: 1, Header: http.Header{"X-Forwarded-For": {elsewhere}, "User-Agent": {mappingUserAgent}}})
	m.names = held(t, m.clients)
	m.operator, m.viewer, m.messenger = r.account("operator", operatorRole), r.account("viewer", viewerRole), r.account("messenger", messengerRole)
	m.mayChangeSettings("operator")
	for _, row := range m.document.rows {
		name := strings.TrimPrefix(row.test, mappingTest+"/")
		t.Run(name, func(t *testing.T) {
			if try := mappingTests[name]; try != nil {
				try(&mappingTry{mapping: m, room: r.in(t), row: row})
			}
		})
	}
	// Nobody else's connection has ended or lost anything.
	r.ends(m.clients, m.ended)
}

// mappingUserAgent is what the clients of the mapping call themselves.
const mappingUserAgent = "mapping/1"

// mayChangeSettings lets a ServiceAccount of the room do what the document says
// is needed for that.
func (m *mapping) mayChangeSettings(name string) {
	m.t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "settings"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"wsproxy.io"}, Resources: []string{"websocketproxies"}, Verbs: []string{"get", "patch"}}},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "settings"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: m.namespace, Name: name}},
	}
	if err := m.Create(m.t.Context(), role); err != nil {
		m.t.Fatal(err)
	}
	if err := m.Create(m.t.Context(), binding); err != nil {
		m.t.Fatal(err)
	}
}

// next returns the name of a connection that no row was tried on.
func (m *mapping) next() string {
	name := m.names[0]
	m.names = m.names[1:]
	return name
}

// notIssued returns a name that its pod has not issued.
func (m *mapping) notIssued() string {
	return m.names[0][:dataplanev1alpha1.PodIDLength] + "-vvvvvvvv"
}

// record is what happened to the client of a connection.
func (c *mappingTry) record(name string) fleet.Record {
	c.t.Helper()
	for _, record := range c.clients.Report().Records {
		if record.ID == name {
			return record
		}
	}
	c.t.Fatalf("no client holds %s", name)
	return fleet.Record{}
}

// hears waits until the client of a connection has been told that it ends, and
// how.
func (c *mappingTry) hears(name string, how end) {
	c.t.Helper()
	c.ended.add(how, name)
	for deadline := time.Now().Add(time.Minute); c.record(name).Closed.IsZero(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("the client of %s is connected", name)
		}
	}
	if record := c.record(name); record.Code != how.code || record.Reason != how.reason {
		c.t.Errorf("the client of %s hears %d %q, want %d %q", name, record.Code, record.Reason, how.code, how.reason)
	}
}
