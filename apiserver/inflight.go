// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"net/http"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"

	connectionsv1alpha1 "github.com/wsproxy/wsproxy/api/connections/v1alpha1"
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
// the pods that answer. Reads, changes, messages and watches are counted apart.
func share(next http.Handler, c *genericapiserver.Config, most int) http.Handler {
	reads, changes, sends, watches := newInFlight(most), newInFlight(most), newInFlight(most), newInFlight(most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := request.RequestInfoFrom(r.Context())
		user, named := request.UserFrom(r.Context())
		if !ok || !named || !info.IsResourceRequest {
			next.ServeHTTP(w, r)
			return
		}
		counted := changes
		switch {
		case info.Verb == "get" || info.Verb == "list":
			counted = reads
		case info.Verb == "watch":
			counted = watches
		case isSend(info):
			counted = sends
		}
		leave, ok := counted.enter(user.GetName())
		if !ok {
			err := apierrors.NewTooManyRequests("too many requests of this user are under way, others are not affected", 1)
			responsewriters.ErrorNegotiated(err, c.Serializer, connectionsv1alpha1.GroupVersion, w, r)
			return
		}
		defer leave()
		next.ServeHTTP(w, r)
	})
}

// asksNoPod extends what is not counted among the requests that are served at a
// time, nor bounded in time: health and discovery. They end at once, and without
// them the server seems dead when it is only busy.
func asksNoPod(longRunning request.LongRunningRequestCheck) request.LongRunningRequestCheck {
	return func(r *http.Request, info *request.RequestInfo) bool {
		return !info.IsResourceRequest || longRunning(r, info)
	}
}
