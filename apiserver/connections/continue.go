// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package connections

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	"github.com/wsproxy/wsproxy/apiserver/fleet"
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
	// Missing are pods whose connections are missing from the list, maxNamed at most,
	// with commas between them; Lacks is how many there are.
	Missing string `json:"missing,omitempty"`
	Lacks   int    `json:"lacks,omitempty"`
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
	if strings.Count(p.Missing, ",") >= maxNamed || p.Lacks < 0 {
		return bad("it is not one of this server")
	}
	return p, nil
}

// lack is of which pods connections are missing from a list, as far as it has come.
type lack struct {
	// pods are the first of them, by name.
	pods  []string
	count int
}

func (p position) lack() lack {
	if p.Missing == "" {
		return lack{}
	}
	return lack{strings.Split(p.Missing, ","), p.Lacks}
}

// with adds those of another page. Of those that are not named nobody knows whether
// they are among them.
func (l lack) with(unanswered []*fleet.Unanswered) lack {
	for _, u := range unanswered {
		if name := u.Pod.String(); !slices.Contains(l.pods, name) {
			l.pods = append(l.pods, name)
		}
	}
	l.count = max(l.count, len(l.pods))
	return l
}

// mark makes a position say what is missing before it.
func (l lack) mark(p position) position {
	p.Missing, p.Lacks = strings.Join(l.pods[:min(len(l.pods), maxNamed)], ","), l.count
	return p
}

// String says which pods are missing, in one line.
func (l lack) String() string {
	if l.count == 1 {
		return "1 data-plane pod did not answer, its connections are missing: " + l.pods[0]
	}
	return fmt.Sprintf("%d data-plane pods did not answer, their connections are missing: %s", l.count, few(l.pods, l.count))
}

// few names as many pods as can be read, of so many.
func few(pods []string, of int) string {
	named := pods[:min(len(pods), maxNamed)]
	if more := of - len(named); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(named, ", "), more)
	}
	return strings.Join(named, ", ")
}
