// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapiserver "k8s.io/apiserver/pkg/server"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/connections"
	"github.com/wsproxy/wsproxy/apiserver/throttle"
)

// MaxChanges is how many changes are under way at a time: as many as there are.
// A bound for all users together would let one of them turn away the others; each
// has a bound of their own.
const MaxChanges = 0

// throttles are what each user may do, by what it is.
type throttles struct {
	changes, sends *throttle.Throttle
	memory         *connections.Memory
	// turnedBack counts those who may not, by the limit.
	turnedBack *prometheus.CounterVec
}

// throttled makes the chain of handlers: the default one, in which changes and
// messages are counted before they are authorized. To authorize one costs a request to the
// kube-apiserver, of which k8s.io/apiserver sends 200 a second for all users
// together: if a flood were to wait for them, everybody else would wait behind it.
//
// The chain takes no handler between authentication and authorization. So
// the authorizer, which knows the user, notes in the request that it is to be
// turned back, and lets it through to a handler that does nothing else with it.
func throttled(users throttles, perUser int) func(http.Handler, *genericapiserver.Config) http.Handler {
	return func(api http.Handler, c *genericapiserver.Config) http.Handler {
		deciding := c.Authorization.Authorizer
		defer func() { c.Authorization.Authorizer = deciding }()
		c.Authorization.Authorizer = &countingAuthorizer{deciding, users}
		chain := genericapiserver.DefaultBuildHandlerChain(turnBack(share(holding(bounded(sparing(strict(api)), c), users.memory), c, perUser, users.turnedBack), c, users.turnedBack), c)
		return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			chain.ServeHTTP(w, request.WithContext(context.WithValue(request.Context(), noteKey{}, &note{})))
		})
	}
}

type noteKey struct{}

// note is what the authorizer tells turnBack of a request. The one calls the
// other, so nothing guards it.
type note struct {
	// wait, where it is positive, is how long the user has to wait. Then nothing
	// has authorized the request.
	wait time.Duration
	// what it was that there was too much of.
	what string
}

// countingAuthorizer lets the next one decide, but for changes by users who have
// to wait.
type countingAuthorizer struct {
	authorizer.Authorizer
	users throttles
}

// Authorize implements authorizer.Authorizer.
func (a *countingAuthorizer) Authorize(ctx context.Context, attributes authorizer.Attributes) (authorizer.Decision, string, error) {
	// Without a note nobody would turn the request back.
	note, ok := ctx.Value(noteKey{}).(*note)
	if ok && isChange(attributes) {
		counted := a.users.changes
		note.what = limitChanges
		if attributes.GetSubresource() == connectionsv1alpha1.SubresourceSend {
			counted, note.what = a.users.sends, limitMessages
		}
		if note.wait = counted.Take(attributes.GetUser().GetName(), 1); note.wait > 0 {
			return authorizer.DecisionAllow, "too many " + note.what + " by this user: it is turned back without a decision", nil
		}
	}
	return a.Authorizer.Authorize(ctx, attributes)
}

// isChange reports whether a connection is to be ended, or sent to. A dry run is meant, too:
// it costs as much.
func isChange(a authorizer.Attributes) bool {
	return a.IsResourceRequest() && a.GetAPIGroup() == connectionsv1alpha1.Group && slices.Contains([]string{"create", "delete", "deletecollection"}, a.GetVerb())
}

// turnBack answers 429 to what carries a note that says so.
func turnBack(next http.Handler, c *genericapiserver.Config, turnedBack *prometheus.CounterVec) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if note, ok := request.Context().Value(noteKey{}).(*note); ok && note.wait > 0 {
			turnedBack.WithLabelValues(note.what).Inc()
			responsewriters.ErrorNegotiated(throttle.Error(note.what, note.wait), c.Serializer, connectionsv1alpha1.GroupVersion, w, request)
			return
		}
		next.ServeHTTP(w, request)
	})
}
