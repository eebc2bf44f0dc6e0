// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	operators "k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/wsproxy/wsproxy/api/clock"
	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
)

type withoutPods struct{}

// WithoutPods makes lists and watches find no pod, and so no connections.
func WithoutPods(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutPods{}, true)
}

// selection says which connections are wanted.
type selection struct {
	namespace string // Empty: all.
	labels    labels.Selector
	fields    fields.Selector
	// also, where it is not nil, leaves pods out.
	also func(*fleet.Pod) bool
}

func selectionOf(ctx context.Context, options *internalversion.ListOptions) selection {
	s := selection{namespace: request.NamespaceValue(ctx), labels: labels.Everything(), fields: fields.Everything()}
	if ctx.Value(withoutPods{}) != nil {
		s.labels = labels.Nothing()
		return s
	}
	if options != nil && options.LabelSelector != nil {
		s.labels = options.LabelSelector
	}
	if options != nil && options.FieldSelector != nil {
		s.fields = options.FieldSelector
	}
	return s
}

// pod reports whether connections of a pod can be wanted. Labels are decided
// here: all connections of a pod have the same ones.
func (s selection) pod(p *fleet.Pod) bool {
	if s.namespace != "" && p.Namespace != s.namespace || !s.labels.Matches(labelsOf(p)) {
		return false
	}
	if s.also != nil && !s.also(p) {
		return false
	}
	if name, only := s.name(); only && !strings.HasPrefix(name, p.Prefix) {
		return false
	}
	of := fields.Set{fieldNamespace: p.Namespace, fieldProxy: p.Proxy, fieldPod: p.Name}
	for _, r := range s.fields.Requirements() {
		if _, decided := of[r.Field]; decided && !matches(r, of) {
			return false
		}
	}
	return true
}

// matcher decides about a single connection of a pod that was chosen, in a phase.
type matcher func(fleet.Entry, dataplanev1alpha1.Phase) bool

// keep returns what decides about a single connection as it is, nil where pod has
// decided it all.
func (s selection) keep() func(fleet.Entry) bool {
	for _, r := range s.fields.Requirements() {
		switch r.Field {
		case fieldNamespace, fieldProxy, fieldPod:
		default:
			match := s.match()
			return func(e fleet.Entry) bool { return match(e, e.Connection.GetPhase()) }
		}
	}
	return nil
}

func (s selection) match() matcher {
	if s.fields.Empty() {
		return func(fleet.Entry, dataplanev1alpha1.Phase) bool { return true }
	}
	return func(e fleet.Entry, phase dataplanev1alpha1.Phase) bool {
		return s.fields.Matches(fields.Set{
			fieldName:      e.Connection.GetName(),
			fieldNamespace: e.Pod.Namespace,
			fieldProxy:     e.Pod.Proxy,
			fieldPod:       e.Pod.Name,
			fieldSourceIP:  address(e.Connection.GetSourceIp()),
			fieldPhase:     string(phaseOf(phase)),
			fieldBy:        e.Connection.GetEnd().GetBy(),
			fieldCause:     e.Connection.GetEnd().GetCause(),
			fieldCode:      strconv.Itoa(int(e.Connection.GetEnd().GetCode())),
		})
	}
}

// address is the one way to write an address, of many.
func address(text string) string {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	return ip.Unmap().String()
}

// name returns the only name that is wanted, if there is one.
func (s selection) name() (string, bool) { return s.fields.RequiresExactMatch(fieldName) }

// sourceIP is the only client's address that is wanted, if there is one; else empty.
func (s selection) sourceIP() string {
	ip, _ := s.fields.RequiresExactMatch(fieldSourceIP)
	return ip
}

func matches(r fields.Requirement, of fields.Set) bool {
	return (of[r.Field] == r.Value) == (r.Operator != operators.NotEquals)
}

// checkVersion refuses what is asked for of the past: only the present is known. Else
// it returns the version than which the list is not to be older.
func checkVersion(options *internalversion.ListOptions) (clock.Stamp, error) {
	version, err := numberOf(options)
	if err == nil && options != nil && options.ResourceVersionMatch == metav1.ResourceVersionMatchExact {
		return 0, apierrors.NewResourceExpired("lists are of now, not of a resourceVersion")
	}
	return version, err
}
