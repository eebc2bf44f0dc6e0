// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// lookAgain is the pause before another look at a Secret that cannot be used. A change
// of it is looked at at once; this is for what time changes, as where the clock of who
// made it is a moment ahead.
const lookAgain = 10 * time.Second

// The reasons of the events that say what is wrong with the Secret. (Of two events with
// the same reason, one soon after the other, Kubernetes keeps the text of the first.)
const (
	reasonMissing  = "AuthorityMissing"
	reasonUnusable = "AuthorityUnusable"
)

// errMissing says that there is no Secret to follow.
var errMissing = errors.New("it does not exist")

// follow looks whether somebody else has another authority by now. Errors are those of
// the API server: what is wrong with the Secret is told to people, and is the Problem.
func (a *Authority) follow(ctx context.Context, state State, now time.Time) (State, error) {
	key := types.NamespacedName{Namespace: a.options.Secret.Namespace, Name: a.options.Follow}
	secret := &corev1.Secret{}
	err := a.options.Live.Get(ctx, key, secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return State{}, fmt.Errorf("read the authority to follow: %w", err)
	}
	given, unusable := (*Pair)(nil), errMissing
	if err == nil {
		given, unusable = a.parse(secret.Data, now)
	}
	if unusable == nil {
		state = state.Follow(given, now)
	}
	a.note(ctx, key, unusable)
	return state, nil
}

// parse is ParseGiven, which signs something: of what was good before, only the time
// can make something else.
func (a *Authority) parse(data map[string][]byte, now time.Time) (*Pair, error) {
	have, err := ParsePair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if c := a.given; err == nil && c != nil && c.Certificate.Equal(have.Certificate) && now.Before(c.Certificate.NotAfter) {
		return c, nil
	}
	given, err := ParseGiven(data, now, a.options.Policy)
	if err != nil {
		return nil, err
	}
	a.given = given
	return given, nil
}

// note keeps what is wrong with the Secret for Problem, and tells people of it once.
func (a *Authority) note(ctx context.Context, key types.NamespacedName, unusable error) {
	var problem error
	if unusable != nil {
		problem = fmt.Errorf("the certificate authority in the Secret %s cannot be used: %w", key, unusable)
	}
	a.mu.Lock()
	before := a.problem
	a.problem = problem
	a.mu.Unlock()
	switch {
	case problem != nil && (before == nil || before.Error() != problem.Error()):
		logr.FromContextOrDiscard(ctx).Error(unusable, "the certificate authority to follow cannot be used", "secret", key)
		reason := reasonUnusable
		if errors.Is(unusable, errMissing) {
			reason = reasonMissing
		}
		a.options.Warn(reason, problem.Error())
	case problem == nil && before != nil:
		logr.FromContextOrDiscard(ctx).Info("the certificate authority to follow can be used again", "secret", key)
	}
}

// Problem says what is wrong with the authority that somebody else keeps, nil where
// nothing is or this operator has not looked, because another one leads.
func (a *Authority) Problem() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.problem
}
