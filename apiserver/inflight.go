// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/connections"
)

// MaxPerUser is the default of Config.PerUser: a quarter of the reads that the
// server serves at a time, and more than anybody has under way who asks pods that
// answer.
const MaxPerUser = 100

// inFlight counts the requests of each user that are being served.
type inFlight struct {
	most int

	mu sync.Mutex
	// served is guarded by mu; who has no request under way is not in it.
	served map[string]int
}

func newInFlight(most int) *inFlight { return &inFlight{most: most, served: map[string]int{}} }

// enter reports whether the user may have one more. Then leave ends it.
func (f *inFlight) enter(user string) (leave func(), ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.served[user] >= f.most {
		return nil, false
	}
	f.served[user]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.served[user]--; f.served[user] == 0 {
			delete(f.served, user)
		}
	}, true
}

// share lets each user have a share of what is served at a time: requests to pods
// that hang take long, and whoever sends many of them must not keep others from
// the pods that answer. Reads, changes, messages and watches are counted apart. Of
// lists without a limit, each of which asks all pods, there may be a tenth.
func share(next http.Handler, c *genericapiserver.Config, most int, turnedBack *prometheus.CounterVec) http.Handler {
	reads, changes, sends, watches := newInFlight(most), newInFlight(most), newInFlight(most), newInFlight(most)
	lists := newInFlight(max(most/10, 1))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := request.RequestInfoFrom(r.Context())
		user, named := request.UserFrom(r.Context())
		if !ok || !named || !info.IsResourceRequest {
			next.ServeHTTP(w, r)
			return
		}
		counted, limit := changes, limitChangesAtOnce
		switch {
		case info.Verb == "get" || info.Verb == "list":
			counted, limit = reads, limitReadsAtOnce
		case info.Verb == "watch":
			counted, limit = watches, limitWatchesAtOnce
		case isSend(info):
			counted, limit = sends, limitSendsAtOnce
		}
		refuse := func(limit string) {
			turnedBack.WithLabelValues(limit).Inc()
			err := apierrors.NewTooManyRequests("too many requests of this user are under way, others are not affected", 1)
			responsewriters.ErrorNegotiated(err, c.Serializer, connectionsv1alpha1.GroupVersion, w, r)
		}
		leave, ok := counted.enter(user.GetName())
		if !ok {
			refuse(limit)
			return
		}
		defer leave()
		if isWhole(info, r) {
			leave, ok := lists.enter(user.GetName())
			if !ok {
				refuse(limitListsAtOnce)
				return
			}
			defer leave()
		}
		next.ServeHTTP(w, r)
	})
}

// holding lets lists and watches hold memory, each on the account of its user, until they
// are over.
func holding(next http.Handler, memory *connections.Memory) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := request.RequestInfoFrom(r.Context())
		user, named := request.UserFrom(r.Context())
		if ok && named && info.IsResourceRequest && (info.Verb == "list" || info.Verb == "watch") {
			ctx, done := memory.For(r.Context(), user.GetName())
			defer done()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// largestPage is what a page may have that is counted as one: the most that anybody is
// known to ask for.
const largestPage = 10_000

// isWhole reports whether a list is not one by one name, nor by pages.
func isWhole(info *request.RequestInfo, r *http.Request) bool {
	if info.Verb != "list" || info.Name != "" {
		return false
	}
	limit, err := strconv.ParseInt(r.URL.Query().Get("limit"), 10, 64)
	return err != nil || limit <= 0 || limit > largestPage
}

// asksNoPod extends what is not counted among the requests that are served at a
// time, nor bounded in time: health and discovery. They end at once, and without
// them the server seems dead when it is only busy.
func asksNoPod(longRunning request.LongRunningRequestCheck) request.LongRunningRequestCheck {
	return func(r *http.Request, info *request.RequestInfo) bool {
		return !info.IsResourceRequest || longRunning(r, info)
	}
}
