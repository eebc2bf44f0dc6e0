// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// position is where a list goes on. Because names sort by pod, and pods are asked
// in that order, the last name that was listed is all there is to it: whoever is
// connected from the first page to the last is listed once, whatever comes and
// goes, pods included.
type position struct {
	// After is the name after which to go on.
	After string `json:"after"`
	// Version is the resourceVersion of the first page, which is that of all.
	Version int64 `json:"rv"`
}

func (p position) token() string {
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // A text and a number can always be written.
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// parseToken is the inverse of token. The error is a bad request.
func parseToken(token string) (position, error) {
	bad := func(why string) (position, error) {
		return position{}, apierrors.NewBadRequest("continue key is not valid: " + why)
	}
	var p position
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return bad("it is not base64")
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return bad("it is not one of this server")
	}
	if _, _, ok := dataplanev1alpha1.ParseName(p.After); !ok {
		return bad(fmt.Sprintf("%q is no name of a connection", p.After))
	}
	if p.Version <= 0 {
		return bad(strconv.FormatInt(p.Version, 10) + " is no resourceVersion")
	}
	return p, nil
}
