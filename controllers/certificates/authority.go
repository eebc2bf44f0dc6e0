// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// ErrNotLoaded says that the authority has not been read from its Secret yet.
var ErrNotLoaded = errors.New("the certificate authority is not loaded yet")

// Authority keeps the state in a Secret and issues from it. It is a reconciler
// of that one Secret; what it serves to others comes from memory.
type Authority struct {
	options Options
	// What follows is the reconciler's alone, of which one runs at a time.
	// waits is since when this process waits for others to trust the next
	// authority, zero while it does not; lagging is who did not when that was last
	// asked.
	waits   time.Time
	lagging string
	// given is the authority of somebody else that was last found to be usable.
	given *Pair

	mu sync.Mutex
	// problem is what is wrong with the authority of somebody else.
	problem error
	// state is what the Secret holds; its Current is nil before it was loaded.
	state State
	// client is the operator's own certificate, kept in memory only.
	client *Pair
	// changed are called after every change of the state.
	changed []func(context.Context)
	// awaited say whether everybody trusts a bundle.
	awaited []func(context.Context, []byte) error
}

// Options of an Authority; each is required but for what says otherwise.
type Options struct {
	// Client writes the Secret.
	Client client.Client
	// Live reads the Secret from the API server itself: a cache would hold the
	// key of the authority, and could hold an old one.
	Live client.Reader
	// Secret is where the authority is kept.
	Secret types.NamespacedName
	// Follow is the name of a Secret beside it with an authority that somebody else
	// keeps. Default: none is followed, the authority is made here.
	Follow string
	// Warn tells people that something is wrong with the Secret that is followed.
	// Required with Follow.
	Warn func(reason, message string)
	// Labels of the Secret.
	Labels map[string]string
	// FieldOwner of what is written.
	FieldOwner string
	// ClientName is the DNS name in the operator's own certificate.
	ClientName string
	Policy     Policy
	// Now is the clock.
	Now func() time.Time
	// Expiries are told of the certificates. It may be nil.
	Expiries *Expiries
}

// New returns an Authority that has not been loaded.
func New(options Options) *Authority {
	options.Policy.Follow = options.Follow != ""
	return &Authority{options: options}
}

// OnChange registers a function that is called after the authority was loaded
// and after each step of a rotation, from the goroutine of the reconciler.
func (a *Authority) OnChange(f func(context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = append(a.changed, f)
}

// Await registers a function that returns nil when everybody for whom it speaks
// has been given this bundle to trust, else an error that names one who has not.
// The next authority does not sign before all of them have it. It is asked from
// the goroutine of the reconciler, about once a minute while there is something
// to wait for.
func (a *Authority) Await(f func(ctx context.Context, bundle []byte) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.awaited = append(a.awaited, f)
}

// Reconcile loads the Secret, makes it where it is missing, and takes the steps
// of the rotation that are due. Where authorities come from somebody else, it looks for
// another one of his; while what he offers cannot be used, the last one stays. If the Secret was deleted while this process
// knows its content, the same content is written again: a new authority would
// cut off every pod for as long as kubelets take to bring it there.
func (a *Authority) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	stored, resourceVersion, err := a.load(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	state := stored
	if state.Current == nil {
		state, _ = a.State()
	}
	now := a.options.Now()
	if a.options.Follow != "" {
		if state, err = a.follow(ctx, state, now); err != nil {
			return reconcile.Result{}, err
		}
	}
	if state.undistributed() && a.distributed(ctx, state) {
		state.Distributed = wholeSecond(now)
	}
	next, err := state.Advance(now, a.options.Policy)
	if err != nil {
		return reconcile.Result{}, err
	}
	if next.Current == nil {
		return reconcile.Result{RequeueAfter: lookAgain}, nil
	}
	if !next.equal(stored) {
		err := a.store(ctx, next, resourceVersion)
		if apierrors.IsConflict(err) {
			// Another operator was faster; what it wrote is read next.
			return reconcile.Result{RequeueAfter: time.Second}, nil
		}
		if err != nil {
			return reconcile.Result{}, err
		}
		logr.FromContextOrDiscard(ctx).Info("certificate authority written",
			"trusted", len(next.trusted()), "waits", next.undistributed(), "expires", next.Current.Certificate.NotAfter)
	}
	a.adopt(ctx, next)
	due := next.Due(a.options.Policy)
	wait := max(due.Sub(now), time.Second)
	if a.Problem() != nil && (due.Before(now) || wait > lookAgain) {
		// What is due may be nothing but that the one that is followed has expired.
		wait = lookAgain
	}
	if !next.undistributed() {
		a.waits = time.Time{}
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	if a.waits.IsZero() {
		a.waits = now
	}
	return reconcile.Result{RequeueAfter: min(wait, patience(now.Sub(a.waits)))}, nil
}

// patience is the pause before the next look at who trusts the next authority,
// after having waited that long: mostly a second is enough, and somebody who cannot
// be reached must not be looked at each second for weeks.
func patience(waited time.Duration) time.Duration {
	return min(max(waited/4, 200*time.Millisecond), time.Minute)
}

// distributed says whether everybody trusts what the state does.
func (a *Authority) distributed(ctx context.Context, state State) bool {
	a.mu.Lock()
	awaited := a.awaited
	a.mu.Unlock()
	bundle, lagging := state.Bundle(), ""
	for _, f := range awaited {
		if err := f(ctx, bundle); err != nil {
			lagging = err.Error()
			break
		}
	}
	if lagging != "" && lagging != a.lagging {
		logr.FromContextOrDiscard(ctx).Info("certificates are not yet replaced everywhere", "cause", lagging)
	}
	a.lagging = lagging
	return lagging == ""
}

func (a *Authority) load(ctx context.Context) (State, string, error) {
	var secret corev1.Secret
	err := a.options.Live.Get(ctx, a.options.Secret, &secret)
	if apierrors.IsNotFound(err) {
		return State{}, "", nil
	}
	if err != nil {
		return State{}, "", fmt.Errorf("read certificate authority: %w", err)
	}
	state, err := ParseState(secret.Data)
	if err != nil {
		return State{}, "", fmt.Errorf("read certificate authority: Secret %s: %w", a.options.Secret, err)
	}
	return state, secret.ResourceVersion, nil
}

func (a *Authority) store(ctx context.Context, state State, resourceVersion string) error {
	data, err := state.Data()
	if err != nil {
		return fmt.Errorf("write certificate authority: %w", err)
	}
	secret := corev1ac.Secret(a.options.Secret.Name, a.options.Secret.Namespace).
		WithLabels(a.options.Labels).
		WithType(corev1.SecretTypeOpaque).
		WithData(data)
	if resourceVersion != "" {
		secret.WithResourceVersion(resourceVersion)
	}
	if err := a.options.Client.Apply(ctx, secret, client.FieldOwner(a.options.FieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("write certificate authority: %w", err)
	}
	return nil
}

// adopt takes a state over and tells those who asked to be told.
func (a *Authority) adopt(ctx context.Context, next State) {
	a.mu.Lock()
	if a.state.equal(next) {
		a.mu.Unlock()
		return
	}
	a.state = next
	changed := a.changed
	a.mu.Unlock()
	a.options.Expiries.Note(OfAuthority, next.Current.Certificate.NotAfter)
	for _, f := range changed {
		f(ctx)
	}
}

// State returns the state in force. Errors: ErrNotLoaded.
func (a *Authority) State() (State, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.Current == nil {
		return State{}, ErrNotLoaded
	}
	return a.state, nil
}

// Keep returns the given certificate (nil: none) while it is good, else a new
// one. Errors: ErrNotLoaded, and those of the random source.
func (a *Authority) Keep(have *Pair, request Request) (*Pair, error) {
	state, err := a.State()
	if err != nil {
		return nil, err
	}
	now := a.options.Now()
	if have != nil && state.Good(have, request, now) {
		return have, nil
	}
	return state.Issue(request, now, a.options.Policy)
}

// Renewal returns when Keep will replace a certificate, unless the authority changes
// first, of which it tells. For one that ends with the authority that is some day.
func (a *Authority) Renewal(pair *Pair) time.Time {
	if state, err := a.State(); err == nil && state.endsWith(pair.Certificate) {
		return a.options.Now().Add(a.options.Policy.LeafValidity)
	}
	return renewal(pair.Certificate.NotBefore, pair.Certificate.NotAfter)
}

// ClientTLS returns the configuration of a connection from the operator to the
// server of that name, as of now: a connection that is made later asks again.
// Errors: ErrNotLoaded.
func (a *Authority) ClientTLS(serverName string) (*tls.Config, error) {
	a.mu.Lock()
	have := a.client
	a.mu.Unlock()
	pair, err := a.Keep(have, Request{DNSNames: []string{a.options.ClientName}, Usage: x509.ExtKeyUsageClientAuth})
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.client = pair
	a.options.Expiries.Note(OfOperator, pair.Certificate.NotAfter)
	roots := x509.NewCertPool()
	for _, c := range a.state.trusted() {
		roots.AddCert(c)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		ServerName:   serverName,
		RootCAs:      roots,
		Certificates: []tls.Certificate{*pair.TLS()},
	}, nil
}
